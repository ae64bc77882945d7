// SPDX-License-Identifier: GPL-2.0
/* victim: modes=eager,lazy,daemon,remote,migrate */
/* Private anonymous memory: dense, sparse, read-only, inaccessible with content, never touched. */
#include "victim.h"

enum { LEN = 8 << 20 };

int main(int argc, char **argv)
{
	char *dense, *sparse, *readonly, *hidden, *untouched;

	victim_begin(argc, argv);
	dense = victim_map(LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	victim_fill(dense, LEN, 1);
	sparse = victim_map(LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	for (size_t at = 0; at < LEN; at += 2 * PAGE)
		victim_fill(sparse + at, PAGE, at + 2);
	readonly = victim_map(16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	victim_fill(readonly, 16 * PAGE, 3);
	require(!mprotect(readonly, 16 * PAGE, PROT_READ), "mprotect");
	hidden = victim_map(16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	victim_fill(hidden, 16 * PAGE, 4);
	require(!mprotect(hidden, 16 * PAGE, PROT_NONE), "mprotect");
	untouched = victim_map(LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE);

	victim_ready();

	require_filled(readonly, 16 * PAGE, 3);
	for (size_t at = 0; at < LEN; at += 2 * PAGE) {
		require_filled(sparse + at, PAGE, at + 2);
		for (size_t i = PAGE; i < 2 * PAGE; i++)
			require(!sparse[at + i], "hole at %zu", at + i);
	}
	for (size_t at = 0; at < LEN; at += 64)
		require(!untouched[at], "untouched memory at %zu", at);
	require_filled(dense, LEN, 1);
	require(!mprotect(hidden, 16 * PAGE, PROT_READ | PROT_WRITE), "mprotect back");
	require_filled(hidden, 16 * PAGE, 4);
	victim_fill(dense, LEN, 5);
	require_filled(dense, LEN, 5);
	victim_pass();
}
