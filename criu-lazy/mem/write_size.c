// SPDX-License-Identifier: GPL-2.0
#include "mem/write_size.h"

/* Choices, 512 KiB each: how soon the slower size is tried again, and how rarely at last. */
enum { RETRY_FIRST = 16, RETRY_LAST = 64 };

static const size_t sizes_of[WRITE_SIZES] = { 64 << 10, 4 << 10 };

size_t write_size_choose(struct write_size *sizes)
{
	unsigned int slower;

	for (unsigned int i = 0; i < WRITE_SIZES; i++) {
		if (sizes->cost[i])
			continue;
		sizes->current = i;
		return sizes_of[i];
	}
	slower = sizes->cost[0] > sizes->cost[1] ? 0 : 1;
	if (slower != sizes->slower || !sizes->retry) {
		sizes->slower = slower;
		sizes->retry = RETRY_FIRST;
		sizes->since = 0;
	}
	sizes->current = !slower;
	if (++sizes->since >= sizes->retry) {
		sizes->since = 0;
		sizes->retry = sizes->retry < RETRY_LAST ? 2 * sizes->retry : RETRY_LAST;
		sizes->current = slower;
	}
	return sizes_of[sizes->current];
}

void write_size_learn(struct write_size *sizes, uint64_t bytes, uint64_t ns)
{
	uint64_t *cost = &sizes->cost[sizes->current];
	uint64_t now = (ns << 20) / bytes + 1;

	/* What is tried now and then has only old news to average with. */
	*cost = *cost && sizes->current != sizes->slower ? (*cost + now) / 2 : now;
}
