// SPDX-License-Identifier: GPL-2.0
#include "transport/arena.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "transport/wire.h"

struct arena {
	uint8_t *base;
	size_t nr_blocks;
	_Atomic uint64_t *pages; /* in use, per block; one more for a cursor in it */
};

int arena_new(size_t blocks, struct arena **out)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		return -ENOMEM;
	arena->nr_blocks = blocks;
	arena->pages = calloc(blocks, sizeof(*arena->pages));
	arena->base = mmap(NULL, blocks * ARENA_BLOCK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!arena->pages || arena->base == MAP_FAILED) {
		if (arena->base == MAP_FAILED)
			arena->base = NULL;
		arena_free(arena);
		return -ENOMEM;
	}
	madvise(arena->base, blocks * ARENA_BLOCK, MADV_DONTDUMP);
	*out = arena;
	return 0;
}

void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	if (arena->base)
		munmap(arena->base, arena->nr_blocks * ARENA_BLOCK);
	free(arena->pages);
	free(arena);
}

size_t arena_free_blocks(const struct arena *arena)
{
	size_t count = 0;

	for (size_t i = 0; i < arena->nr_blocks; i++)
		count += !atomic_load(&arena->pages[i]);
	return count;
}

/* The lowest free block: it was used most recently, as likely as not. 0: none. */
static size_t take_block(struct arena *arena)
{
	for (size_t i = 0; i < arena->nr_blocks; i++) {
		uint64_t none = 0;

		if (atomic_compare_exchange_strong(&arena->pages[i], &none, 1))
			return i + 1;
	}
	return 0;
}

uint8_t *arena_reserve(struct arena *arena, struct arena_cursor *cursor, size_t len)
{
	if (!cursor->block || ARENA_BLOCK - cursor->at < len) {
		if (cursor->block)
			atomic_fetch_sub(&arena->pages[cursor->block - 1], 1);
		cursor->block = take_block(arena);
		cursor->at = 0;
		if (!cursor->block)
			return NULL;
	}
	return arena->base + (cursor->block - 1) * ARENA_BLOCK + cursor->at;
}

void arena_keep(struct arena *arena, struct arena_cursor *cursor, uint64_t pages)
{
	atomic_fetch_add(&arena->pages[cursor->block - 1], pages);
	cursor->at += pages * WIRE_PAGE;
}

void arena_put(struct arena *arena, const uint8_t *at, uint64_t pages)
{
	atomic_fetch_sub(&arena->pages[(size_t)(at - arena->base) / ARENA_BLOCK], pages);
}
