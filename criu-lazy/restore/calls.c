// SPDX-License-Identifier: GPL-2.0
#include "restore/calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { REGION_ALIGN = 64 };

void *region_alloc(struct region *region, size_t size)
{
	uint64_t at = (region->used + REGION_ALIGN - 1) & ~(uint64_t)(REGION_ALIGN - 1);

	if (region->is_full || at > region->end || size > region->end - at) {
		region->is_full = true;
		return NULL;
	}
	region->used = at + size;
	return (void *)(uintptr_t)(region->start + at);
}

uint64_t region_copy(struct region *region, const void *data, size_t size)
{
	void *copy = region_alloc(region, size);

	if (copy && size)
		memcpy(copy, data, size);
	return (uintptr_t)copy;
}

void calls_fini(struct calls *calls)
{
	free(calls->items);
	*calls = (struct calls){ 0 };
}

struct restorer_call *calls_add(struct calls *calls, enum restorer_what what,
				enum restorer_check check, uint32_t nr, const uint64_t args[6])
{
	struct restorer_call *call;

	if (calls->count == calls->room) {
		size_t room = calls->room ? calls->room * 2 : 256;
		void *grown = realloc(calls->items, room * sizeof(*calls->items));

		if (!grown) {
			calls->is_failed = true;
			return NULL;
		}
		calls->items = grown;
		calls->room = room;
	}
	call = &calls->items[calls->count++];
	*call = (struct restorer_call){ .nr = nr, .check = check, .what = what };
	memcpy(call->args, args, sizeof(call->args));
	return call;
}

int calls_store(struct calls *calls, struct region *region, uint64_t *addr, uint32_t *count)
{
	*addr = region_copy(region, calls->items, calls->count * sizeof(*calls->items));
	*count = calls->count;
	return calls->is_failed || region->is_full ? -ENOMEM : 0;
}
