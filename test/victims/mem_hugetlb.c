// SPDX-License-Identifier: GPL-2.0
/* Private anonymous hugetlb memory, where the machine has free huge pages. */
#include "victim.h"

enum { HUGE = 2 << 20, LEN = 4 * HUGE };

int main(int argc, char **argv)
{
	char *at;

	victim_begin(argc, argv);
	at = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1,
		  0);
	if (at == MAP_FAILED)
		victim_skip("no free huge pages: %s", strerror(errno));
	victim_fill(at, HUGE, 1);
	victim_fill(at + 2 * HUGE, HUGE, 2);

	victim_ready();

	require_filled(at, HUGE, 1);
	require_filled(at + 2 * HUGE, HUGE, 2);
	for (size_t i = 0; i < HUGE; i += 512)
		require(!at[HUGE + i], "untouched huge page at %zu", i);
	victim_pass();
}
