/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that pages are received into and delivered from, used again and again: so it stays in the
 * processor's cache, and no page of it is faulted in twice. Blocks of 1 MiB; one is free again when
 * all pages that were kept in it have been put back, in whatever order.
 *
 * Any number of threads, each receiving by a cursor of its own; put is for any thread.
 */
#ifndef TRANSPORT_ARENA_H
#define TRANSPORT_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_BLOCK (1u << 20)

struct arena;

/* Zeros to begin with. */
struct arena_cursor {
	size_t block; /* its number and one: 0: none */
	size_t at;    /* in it */
};

/* -ENOMEM. */
int arena_new(size_t blocks, struct arena **out);
/* Nothing of it is in use any more. NULL is fine. */
void arena_free(struct arena *arena);

/* Room for len bytes, at most ARENA_BLOCK, aligned to pages; NULL: all blocks are in use. What is
 * not kept before the next call is given out again. */
uint8_t *arena_reserve(struct arena *arena, struct arena_cursor *cursor, size_t len);
/* The first `pages` pages of what was reserved last are in use. */
void arena_keep(struct arena *arena, struct arena_cursor *cursor, uint64_t pages);
/* That many pages of the block that `at` lies in are not in use any more. */
void arena_put(struct arena *arena, const uint8_t *at, uint64_t pages);
/* Blocks that are free; one that a cursor is in is not. */
size_t arena_free_blocks(const struct arena *arena);

#endif
