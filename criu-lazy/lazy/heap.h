/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that outlives the daemon: one shared mapping, made before the processes part, so that it
 * is at the same address in all of them. What is allocated is named by its offset.
 *
 * What is free is known to the owner alone, in memory of its own: when it has died, the next one
 * finds what is in use by following what is written in the mapping, and calls heap_rebuild(). So
 * allocating and freeing change nothing that must be consistent.
 *
 * A block that is freed may still be named by the state a successor would find. It is kept until
 * heap_flush(), to be called when no such name is left.
 */
#ifndef LAZY_HEAP_H
#define LAZY_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* Blocks of 64 bytes and of each power of two above. */
enum { HEAP_CLASSES = 40 };

struct heap_block {
	uint64_t at, size;
};

struct heap {
	char *base;
	uint64_t size, top; /* behind the last block ever given out */
	uint64_t free[HEAP_CLASSES];
	struct heap_block *freed; /* not flushed yet */
	size_t nr_freed, freed_room;
};

/* Maps up to `size` bytes, less where that is refused. -ENOMEM. */
int heap_init(struct heap *heap, uint64_t size);
void heap_fini(struct heap *heap);
/* The offset of a block with undefined content; 0: no memory. */
uint64_t heap_alloc(struct heap *heap, uint64_t bytes);
/* bytes: as at heap_alloc(). 0 is freed without a word. */
void heap_free(struct heap *heap, uint64_t at, uint64_t bytes);
void heap_flush(struct heap *heap);
/* In use are these and no others; sorts them. What lies between is given back to the kernel. */
void heap_rebuild(struct heap *heap, struct heap_block *blocks, size_t count);

static inline void *heap_at(const struct heap *heap, uint64_t at)
{
	return heap->base + at;
}

#endif
