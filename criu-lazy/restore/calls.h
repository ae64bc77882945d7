/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Composing what the blob does: the region (its one mapping in the task) and lists of work items.
 * Both remember the first failure, so that composing code is straight lines; look once at the end.
 * Runs in the task, before it enters the blob.
 */
#ifndef RESTORE_CALLS_H
#define RESTORE_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blob/restorer_args.h"

enum { REGION_PAGE = 4096 };

struct region {
	uint64_t start, size;
	uint64_t used; /* of the part for arguments, from start */
	uint64_t end;  /* of that part */
	bool is_full;
};

/* Zeroed memory in the region, 64 byte aligned; on overflow is_full is set and NULL returned. */
void *region_alloc(struct region *region, size_t size);
/* The same with a copy of data; yields the address as an item wants it, 0 when full. */
uint64_t region_copy(struct region *region, const void *data, size_t size);

struct calls {
	struct restorer_call *items; /* heap */
	size_t count, room;
	bool is_failed; /* out of memory */
};

void calls_fini(struct calls *calls);
struct restorer_call *calls_add(struct calls *calls, enum restorer_what what,
				enum restorer_check check, uint32_t nr, const uint64_t args[6]);
/* Moves the list into the region. -ENOMEM if anything failed before. */
int calls_store(struct calls *calls, struct region *region, uint64_t *addr, uint32_t *count);

#define calls_args(a, b, c, d, e, f, ...)                                                 \
	((const uint64_t[6]){ (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), \
			      (uint64_t)(e), (uint64_t)(f) })
/* A call that must succeed; one whose result is not looked at; one with an exact result. */
#define calls_must(calls, what, nr, ...) \
	calls_add((calls), (what), RESTORER_OK, (nr), calls_args(__VA_ARGS__, 0, 0, 0, 0, 0, 0))
#define calls_try(calls, what, nr, ...) \
	calls_add((calls), (what), RESTORER_ANY, (nr), calls_args(__VA_ARGS__, 0, 0, 0, 0, 0, 0))
#define calls_expect(calls, what, value, nr, ...)                             \
	do {                                                                  \
		struct restorer_call *call_ =                                 \
			calls_add((calls), (what), RESTORER_EQUAL, (nr),      \
				  calls_args(__VA_ARGS__, 0, 0, 0, 0, 0, 0)); \
		if (call_)                                                    \
			call_->expect = (value);                              \
	} while (0)

#endif
