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
	_Atomic uint64_t *pages; /* in use, per block; the receiver's own block has one more */
	size_t current;		 /* block; nr_blocks: none */
	size_t at;		 /* in it */
};

int arena_new(size_t blocks, struct arena **out)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		return -ENOMEM;
	arena->nr_blocks = arena->current = blocks;
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

/* The lowest one: it was used most recently, as likely as not. */
static size_t free_block(const struct arena *arena)
{
	size_t i = 0;

	while (i < arena->nr_blocks && atomic_load(&arena->pages[i]))
		i++;
	return i;
}

size_t arena_free_blocks(const struct arena *arena)
{
	size_t count = 0;

	for (size_t i = 0; i < arena->nr_blocks; i++)
		count += !atomic_load(&arena->pages[i]);
	return count;
}

uint8_t *arena_reserve(struct arena *arena, size_t len)
{
	if (arena->current == arena->nr_blocks || ARENA_BLOCK - arena->at < len) {
		if (arena->current < arena->nr_blocks)
			atomic_fetch_sub(&arena->pages[arena->current], 1);
		arena->current = free_block(arena);
		arena->at = 0;
		if (arena->current == arena->nr_blocks)
			return NULL;
		atomic_fetch_add(&arena->pages[arena->current], 1);
	}
	return arena->base + arena->current * ARENA_BLOCK + arena->at;
}

void arena_keep(struct arena *arena, uint64_t pages)
{
	atomic_fetch_add(&arena->pages[arena->current], pages);
	arena->at += pages * WIRE_PAGE;
}

void arena_put(struct arena *arena, const uint8_t *at, uint64_t pages)
{
	atomic_fetch_sub(&arena->pages[(size_t)(at - arena->base) / ARENA_BLOCK], pages);
}
