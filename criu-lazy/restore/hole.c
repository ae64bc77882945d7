// SPDX-License-Identifier: GPL-2.0
#include "restore/hole.h"

#include <stdlib.h>

static int compare_areas(const void *a, const void *b)
{
	const struct hole_area *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

uint64_t hole_find(struct hole_area *areas, size_t count, uint64_t size, uint64_t min, uint64_t max)
{
	uint64_t at = (min + 4095) & ~4095ull;

	if (count)
		qsort(areas, count, sizeof(*areas), compare_areas);
	for (size_t i = 0; i < count; i++) {
		if (areas[i].end <= at)
			continue;
		if (areas[i].start >= at && areas[i].start - at >= size)
			break;
		at = (areas[i].end + 4095) & ~4095ull;
	}
	return at < max && max - at >= size ? at : 0;
}
