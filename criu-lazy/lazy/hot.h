/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where faults are dense. Memory that every request passes through (hash tables, list heads) is
 * small beside what it leads to, and faults fall there again and again: so a region is worth
 * bringing before all others after a few of them. Pure counting; engine's thread.
 */
#ifndef LAZY_HOT_H
#define LAZY_HOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOT_REGION (2ull << 20) /* bytes of image addresses */
enum { HOT_FAULTS = 3 };	/* what makes a region hot */

struct hot_region {
	uint64_t object, number;
	uint32_t faults; /* 0: a free place */
};

struct hot {
	struct hot_region *regions; /* open addressing */
	size_t count, room;
};

void hot_fini(struct hot *hot);
/* A page of the object was waited for. True once per region: now it is hot. Without memory: never.
 */
bool hot_fault(struct hot *hot, uint64_t object, uint64_t vaddr);

#endif
