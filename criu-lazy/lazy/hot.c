// SPDX-License-Identifier: GPL-2.0
#include "lazy/hot.h"

#include <stdlib.h>

enum { ROOM_MIN = 256 };
#define ROOM_MAX (1u << 22)

void hot_fini(struct hot *hot)
{
	free(hot->regions);
	*hot = (struct hot){ 0 };
}

/* Its place, or the free one where it belongs; room is a power of two and never full. */
static struct hot_region *find(struct hot_region *regions, size_t room, uint64_t object,
			       uint64_t number)
{
	size_t at = (object * 0x9e3779b97f4a7c15ull ^ number * 0xc2b2ae3d27d4eb4full) >> 20;

	for (;; at++) {
		struct hot_region *region = &regions[at & (room - 1)];

		if (!region->faults || (region->object == object && region->number == number))
			return region;
	}
}

static bool make_room(struct hot *hot)
{
	size_t room = hot->room ? 2 * hot->room : ROOM_MIN;
	struct hot_region *grown;

	if (hot->count * 4 < hot->room * 3)
		return true;
	grown = room <= ROOM_MAX ? calloc(room, sizeof(*grown)) : NULL;
	if (!grown)
		return false;
	for (size_t i = 0; i < hot->room; i++) {
		const struct hot_region *region = &hot->regions[i];

		if (region->faults)
			*find(grown, room, region->object, region->number) = *region;
	}
	free(hot->regions);
	hot->regions = grown;
	hot->room = room;
	return true;
}

bool hot_fault(struct hot *hot, uint64_t object, uint64_t vaddr)
{
	struct hot_region *region;

	if (!make_room(hot))
		return false;
	region = find(hot->regions, hot->room, object, vaddr / HOT_REGION);
	if (!region->faults) {
		hot->count++;
		region->object = object;
		region->number = vaddr / HOT_REGION;
	}
	if (region->faults > HOT_FAULTS)
		return false;
	return ++region->faults == HOT_FAULTS;
}
