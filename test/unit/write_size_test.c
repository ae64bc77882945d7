// SPDX-License-Identifier: GPL-2.0
/* The faster size is used, the other is tried again, and a change is followed. */
#include "mem/write_size.h"
#include "unit.h"

/* Writes `count` times, where large writes cost `large` and small ones `small`; how many were
 * large. */
static int run(struct write_size *sizes, int count, uint64_t large, uint64_t small)
{
	int nr_large = 0;

	for (int i = 0; i < count; i++) {
		int is_large = write_size_choose(sizes) > 4096;

		nr_large += is_large;
		write_size_learn(sizes, 1 << 19, is_large ? large : small);
	}
	return nr_large;
}

int main(void)
{
	struct write_size sizes = { 0 };

	check(run(&sizes, 240, 100, 200) >= 220);
	check(run(&sizes, 240, 100, 200) < 240);
	check(run(&sizes, 240, 1000, 200) <= 20);
	check(run(&sizes, 240, 100, 200) >= 60); /* found out by trying it again */
	check(run(&sizes, 240, 100, 200) >= 220);
	/* a clock that stands still */
	check(run(&sizes, 10, 0, 0) <= 10);
	return 0;
}
