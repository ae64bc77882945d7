// SPDX-License-Identifier: GPL-2.0
#include "lazy/heap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK_MIN  64ull
#define PAGE	   4096ull
#define GIVE_BACK  (64ull << 10)
#define HEAP_LEAST (16ull << 20)

int heap_init(struct heap *heap, uint64_t size)
{
	*heap = (struct heap){ .top = BLOCK_MIN };
	for (; size >= HEAP_LEAST; size /= 2) {
		void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (base == MAP_FAILED)
			continue;
		heap->base = base;
		heap->size = size;
		return 0;
	}
	return -ENOMEM;
}

void heap_fini(struct heap *heap)
{
	if (heap->base)
		munmap(heap->base, heap->size);
	free(heap->freed);
	*heap = (struct heap){ 0 };
}

static int class_of(uint64_t bytes)
{
	int class = 0;

	while (class < HEAP_CLASSES && BLOCK_MIN << class < bytes)
		class ++;
	return class;
}

/* A block on a list of free ones begins with the offset of the next. */
static uint64_t *next_of(const struct heap *heap, uint64_t at)
{
	return heap_at(heap, at);
}

uint64_t heap_alloc(struct heap *heap, uint64_t bytes)
{
	int class = class_of(bytes);
	uint64_t at;

	if (class == HEAP_CLASSES)
		return 0;
	at = heap->free[class];
	if (at) {
		heap->free[class] = *next_of(heap, at);
		return at;
	}
	if (BLOCK_MIN << class > heap->size - heap->top)
		return 0;
	at = heap->top;
	heap->top += BLOCK_MIN << class;
	return at;
}

static bool make_room(struct heap *heap)
{
	size_t room = heap->freed_room ? 2 * heap->freed_room : 64;
	void *grown;

	if (heap->nr_freed < heap->freed_room)
		return true;
	grown = realloc(heap->freed, room * sizeof(*heap->freed));
	if (!grown)
		return false;
	heap->freed = grown;
	heap->freed_room = room;
	return true;
}

void heap_free(struct heap *heap, uint64_t at, uint64_t bytes)
{
	if (!at || !make_room(heap))
		return; /* without memory to remember it by it is lost until the next rebuild */
	heap->freed[heap->nr_freed++] = (struct heap_block){ at, bytes };
}

/* Whole pages of [from, to) are the kernel's again. */
static void give_back(const struct heap *heap, uint64_t from, uint64_t to)
{
	from = (from + PAGE - 1) / PAGE * PAGE;
	to = to / PAGE * PAGE;
	if (from < to)
		madvise(heap_at(heap, from), to - from, MADV_REMOVE);
}

void heap_flush(struct heap *heap)
{
	for (size_t i = 0; i < heap->nr_freed; i++) {
		uint64_t at = heap->freed[i].at;
		int class = class_of(heap->freed[i].size);

		if (BLOCK_MIN << class >= GIVE_BACK)
			give_back(heap, at, at + (BLOCK_MIN << class));
		*next_of(heap, at) = heap->free[class];
		heap->free[class] = at;
	}
	heap->nr_freed = 0;
}

static int compare_blocks(const void *a, const void *b)
{
	const struct heap_block *left = a, *right = b;

	return left->at < right->at ? -1 : left->at > right->at;
}

void heap_rebuild(struct heap *heap, struct heap_block *blocks, size_t count)
{
	uint64_t top = BLOCK_MIN;

	if (count)
		qsort(blocks, count, sizeof(*blocks), compare_blocks);
	memset(heap->free, 0, sizeof(heap->free));
	heap->nr_freed = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t end = blocks[i].at + (BLOCK_MIN << class_of(blocks[i].size));

		give_back(heap, top, blocks[i].at);
		if (end > top)
			top = end;
	}
	give_back(heap, top, heap->size);
	heap->top = top;
}
