// SPDX-License-Identifier: GPL-2.0
/* A mapping that has shrunk: what it does not map any more is there when it grows again. */
/* victim: modes=eager,lazy,daemon,remote,migrate */
#include "victim.h"

enum { LEN = 4 << 20, PART = 5 * PAGE };

int main(int argc, char **argv)
{
	char *whole, *middle;

	victim_begin(argc, argv);
	whole = victim_map(LEN, PROT_READ | PROT_WRITE, MAP_SHARED);
	middle = victim_map(LEN, PROT_READ | PROT_WRITE, MAP_SHARED);
	victim_fill(whole, LEN, 1);
	victim_fill(middle, LEN, 2);
	require(mremap(whole, LEN, PART, 0) == whole, "shrink");
	require(!munmap(middle + PART, PART) && !munmap(middle + LEN / 2, LEN / 2), "make holes");
	victim_ready();

	require_filled(whole, PART, 1);
	whole = mremap(whole, PART, LEN, MREMAP_MAYMOVE);
	require(whole != MAP_FAILED, "grow");
	require_filled(whole, LEN, 1);
	require_filled(middle, PART, 2);
	middle = mremap(middle + 2 * PART, LEN / 2 - 2 * PART, LEN - 2 * PART, MREMAP_MAYMOVE);
	require(middle != MAP_FAILED, "grow the second");
	for (size_t i = 0; i < (LEN - 2 * PART) / 8; i++)
		require(((uint64_t *)middle)[i] ==
				victim_mix(2 * 0x9e3779b97f4a7c15ULL + 2 * PART / 8 + i),
			"word %zu", i);
	victim_pass();
}
