// SPDX-License-Identifier: GPL-2.0
#include "lazy/owed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64

static int owed_area_compare(struct owed_area *a, struct owed_area *b)
{
	return a->start < b->start ? -1 : a->start > b->start;
}

RB_GENERATE(owed_tree, owed_area, link, owed_area_compare)

static uint64_t stretch_size(uint64_t nr_pages)
{
	return sizeof(struct owed_stretch) + (nr_pages / WORD_BITS + 2) * sizeof(uint64_t);
}

uint64_t owed_stretch_size(const struct owed_stretch *stretch)
{
	return stretch_size(stretch->nr_pages);
}

static void take_shape(struct owed_bits *bits, struct owed_stretch *stretch, void *source)
{
	bits->refs = 1;
	bits->base = stretch->base;
	bits->nr_pages = stretch->nr_pages;
	bits->page_size = stretch->page_size;
	bits->object = stretch->object;
	bits->source = source;
	bits->stretch = stretch;
	bits->words = stretch->words;
}

struct owed_bits *owed_bits_new(const struct owed_shape *shape)
{
	uint64_t size = stretch_size(shape->len / shape->page_size);
	struct owed_bits *bits = calloc(1, sizeof(*bits));
	struct owed_stretch *stretch = NULL;

	if (!bits)
		return NULL;
	bits->heap = shape->heap;
	if (bits->heap) {
		bits->at = heap_alloc(bits->heap, size);
		stretch = bits->at ? heap_at(bits->heap, bits->at) : NULL;
		if (stretch)
			memset(stretch, 0, size);
	} else {
		stretch = calloc(1, size);
	}
	if (!stretch) {
		free(bits);
		return NULL;
	}
	stretch->base = shape->base;
	stretch->nr_pages = shape->len / shape->page_size;
	stretch->page_size = shape->page_size;
	stretch->object = shape->object;
	take_shape(bits, stretch, shape->source);
	return bits;
}

struct owed_bits *owed_bits_adopt(struct heap *heap, uint64_t at, void *source)
{
	struct owed_bits *bits = calloc(1, sizeof(*bits));

	if (!bits)
		return NULL;
	bits->heap = heap;
	bits->at = at;
	take_shape(bits, heap_at(heap, at), source);
	return bits;
}

struct owed_bits *owed_bits_get(struct owed_bits *bits)
{
	if (bits)
		bits->refs++;
	return bits;
}

void owed_bits_put(struct owed_bits *bits)
{
	if (!bits || --bits->refs)
		return;
	if (bits->heap)
		heap_free(bits->heap, bits->at, owed_stretch_size(bits->stretch));
	else
		free(bits->stretch);
	free(bits);
}

/* Cuts [image, image + len) to the stretch; page numbers out. False: nothing in it. */
static bool bits_span(const struct owed_bits *bits, uint64_t image, uint64_t len, uint64_t *first,
		      uint64_t *last)
{
	uint64_t limit = bits->base + bits->nr_pages * bits->page_size;
	uint64_t end = image + len;

	if (image < bits->base)
		image = bits->base;
	if (end > limit)
		end = limit;
	if (image >= end)
		return false;
	*first = (image - bits->base) / bits->page_size;
	*last = (end - bits->base + bits->page_size - 1) / bits->page_size;
	return true;
}

static uint64_t word_mask(uint64_t word, uint64_t first, uint64_t last)
{
	uint64_t mask = ~0ull;

	if (first > word * WORD_BITS)
		mask &= ~0ull << (first - word * WORD_BITS);
	if (last < (word + 1) * WORD_BITS)
		mask &= ~0ull >> ((word + 1) * WORD_BITS - last);
	return mask;
}

uint64_t owed_bits_set(struct owed_bits *bits, uint64_t image, uint64_t len)
{
	uint64_t first, last, changed = 0;

	if (!bits_span(bits, image, len, &first, &last))
		return 0;
	for (uint64_t word = first / WORD_BITS; word * WORD_BITS < last; word++) {
		uint64_t fresh = word_mask(word, first, last) & ~bits->words[word];

		bits->words[word] |= fresh;
		changed += (uint64_t)__builtin_popcountll(fresh);
	}
	bits->nr_owed += changed;
	return changed;
}

uint64_t owed_bits_clear(struct owed_bits *bits, uint64_t image, uint64_t len)
{
	uint64_t first, last, changed = 0;

	if (!bits->nr_owed || !bits_span(bits, image, len, &first, &last))
		return 0;
	for (uint64_t word = first / WORD_BITS; word * WORD_BITS < last; word++) {
		uint64_t gone = word_mask(word, first, last) & bits->words[word];

		bits->words[word] &= ~gone;
		changed += (uint64_t)__builtin_popcountll(gone);
	}
	bits->nr_owed -= changed;
	return changed;
}

uint64_t owed_bits_count(const struct owed_bits *bits, uint64_t image, uint64_t len)
{
	uint64_t first, last, count = 0;

	if (!bits_span(bits, image, len, &first, &last))
		return 0;
	for (uint64_t word = first / WORD_BITS; word * WORD_BITS < last; word++)
		count += (uint64_t)__builtin_popcountll(bits->words[word] &
							word_mask(word, first, last));
	return count;
}

/* The first page in [first, last) whose bit is `value`; last if there is none. */
static uint64_t bits_find(const struct owed_bits *bits, uint64_t first, uint64_t last, bool value)
{
	while (first < last) {
		uint64_t word = first / WORD_BITS;
		uint64_t have = value ? bits->words[word] : ~bits->words[word];

		have &= ~0ull << first % WORD_BITS;
		if (have) {
			first = word * WORD_BITS + (uint64_t)__builtin_ctzll(have);
			return first < last ? first : last;
		}
		first = (word + 1) * WORD_BITS;
	}
	return last;
}

void owed_init(struct owed *owed)
{
	*owed = (struct owed){ 0 };
	RB_INIT(&owed->areas);
}

static void area_free(struct owed *owed, struct owed_area *area)
{
	RB_REMOVE(owed_tree, &owed->areas, area);
	owed->nr_areas--;
	owed->is_dirty = true;
	owed_bits_put(area->bits);
	free(area);
}

void owed_fini(struct owed *owed)
{
	struct owed_area *area, *next;

	RB_FOREACH_SAFE (area, owed_tree, &owed->areas, next)
		area_free(owed, area);
}

struct owed_area *owed_next(struct owed *owed, uint64_t addr)
{
	struct owed_area *area = RB_ROOT(&owed->areas), *found = NULL;

	while (area) {
		if (area->end > addr) {
			found = area;
			area = RB_LEFT(area, link);
		} else {
			area = RB_RIGHT(area, link);
		}
	}
	return found;
}

struct owed_area *owed_find(struct owed *owed, uint64_t addr)
{
	struct owed_area *area = owed_next(owed, addr);

	return area && area->start <= addr ? area : NULL;
}

static int area_insert(struct owed *owed, const struct owed_area *what)
{
	struct owed_area *area = malloc(sizeof(*area));

	if (!area)
		return -ENOMEM;
	*area = *what;
	owed_bits_get(area->bits);
	RB_INSERT(owed_tree, &owed->areas, area);
	owed->nr_areas++;
	owed->is_dirty = true;
	return 0;
}

static uint64_t area_image(const struct owed_area *area, uint64_t addr)
{
	return area->image + (addr - area->start);
}

int owed_restore(struct owed *owed, const struct owed_area *what)
{
	if (what->bits && what->kind != LAZY_RANGE_SHMEM)
		what->bits->nr_owed +=
			owed_bits_count(what->bits, what->image, what->end - what->start);
	return area_insert(owed, what);
}

int owed_add(struct owed *owed, const struct owed_area *what)
{
	int ret = owed_unmap(owed, what->start, what->end);

	return ret ? ret : area_insert(owed, what);
}

bool owed_is_owed(const struct owed_area *area, uint64_t addr)
{
	uint64_t first, last;

	if (!area->bits || !bits_span(area->bits, area_image(area, addr), 1, &first, &last))
		return false;
	return area->bits->words[first / WORD_BITS] >> first % WORD_BITS & 1;
}

bool owed_area_run(struct owed_area *area, uint64_t addr, uint64_t max, struct owed_run *out)
{
	const struct owed_bits *bits = area->bits;
	uint64_t first, last, start, end;

	if (addr < area->start)
		addr = area->start;
	if (addr >= area->end || !bits || !bits->nr_owed)
		return false;
	if (!bits_span(bits, area_image(area, addr), area->end - addr, &first, &last))
		return false;
	start = bits_find(bits, first, last, true);
	if (start == last)
		return false;
	if (max < bits->page_size)
		max = bits->page_size;
	end = last - start > max / bits->page_size ? start + max / bits->page_size : last;
	end = bits_find(bits, start, end, false);
	out->area = area;
	out->image = bits->base + start * bits->page_size;
	out->start = area->start + (out->image - area->image);
	out->end = out->start + (end - start) * bits->page_size;
	return true;
}

uint64_t owed_done(struct owed_area *area, uint64_t start, uint64_t end)
{
	if (start < area->start)
		start = area->start;
	if (end > area->end)
		end = area->end;
	if (!area->bits || start >= end)
		return 0;
	return owed_bits_clear(area->bits, area_image(area, start), end - start);
}

/* Cuts the area that straddles addr in two, so that addr is a border. */
static int split_at(struct owed *owed, uint64_t addr)
{
	struct owed_area *area = owed_find(owed, addr);
	struct owed_area right;
	int ret;

	if (!area || area->start == addr)
		return 0;
	right = *area;
	right.start = addr;
	right.image = area_image(area, addr);
	ret = area_insert(owed, &right);
	if (!ret)
		area->end = addr;
	return ret;
}

static int split_around(struct owed *owed, uint64_t start, uint64_t end)
{
	int ret = split_at(owed, start);

	return ret ? ret : split_at(owed, end);
}

/*
 * No area reaches these pages any more. Their bits stay: a daemon killed before the areas are
 * committed leaves the event to be applied again, and what it finds then must be what was found
 * now (race.c asks what was owed).
 */
static uint64_t forget(const struct owed_area *area)
{
	uint64_t count = 0;

	if (area->bits)
		count = owed_bits_count(area->bits, area->image, area->end - area->start);
	if (count)
		area->bits->nr_owed -= count;
	return count;
}

int owed_unmap(struct owed *owed, uint64_t start, uint64_t end)
{
	struct owed_area *area, *next;
	int ret = split_around(owed, start, end);

	if (ret)
		return ret;
	for (area = owed_next(owed, start); area && area->start < end; area = next) {
		next = RB_NEXT(owed_tree, &owed->areas, area);
		if (area->kind != LAZY_RANGE_SHMEM)
			owed->dropped += forget(area);
		area_free(owed, area);
	}
	return 0;
}

uint64_t owed_remove(struct owed *owed, uint64_t start, uint64_t end)
{
	struct owed_area *area = owed_next(owed, start);
	uint64_t dropped = 0;

	for (; area && area->start < end; area = RB_NEXT(owed_tree, &owed->areas, area)) {
		if (area->kind != LAZY_RANGE_SHMEM)
			dropped += owed_done(area, start, end);
	}
	owed->dropped += dropped;
	return dropped;
}

bool owed_has_shared(struct owed *owed, uint64_t start, uint64_t end)
{
	struct owed_area *area = owed_next(owed, start);
	struct owed_run run;

	for (; area && area->start < end; area = RB_NEXT(owed_tree, &owed->areas, area)) {
		if (area->kind == LAZY_RANGE_SHMEM && owed_area_run(area, start, 0, &run) &&
		    run.start < end)
			return true;
	}
	return false;
}

bool owed_has_any(struct owed *owed, uint64_t start, uint64_t end)
{
	struct owed_area *area = owed_next(owed, start);
	struct owed_run run;

	for (; area && area->start < end; area = RB_NEXT(owed_tree, &owed->areas, area)) {
		if (owed_area_run(area, start, 0, &run) && run.start < end)
			return true;
	}
	return false;
}

uint64_t owed_punch(struct owed *owed, uint64_t start, uint64_t end)
{
	struct owed_area *area = owed_next(owed, start);
	uint64_t dropped = 0;

	for (; area && area->start < end; area = RB_NEXT(owed_tree, &owed->areas, area)) {
		if (area->kind == LAZY_RANGE_SHMEM)
			dropped += owed_done(area, start, end);
	}
	owed->dropped += dropped;
	return dropped;
}

static int move_area(struct owed *owed, struct owed_area *area, uint64_t from, uint64_t to)
{
	struct owed_area left = *area, moved = *area;
	int ret;

	moved.start = to + (area->start - from);
	moved.end = to + (area->end - from);
	ret = area_insert(owed, &moved);
	if (ret)
		return ret;
	/* What stays behind under MREMAP_DONTUNMAP: registered, and its pages have left. A shared
	 * segment is mapped at both places and owes the same at both. */
	if (left.kind != LAZY_RANGE_SHMEM) {
		owed_bits_put(area->bits);
		area->bits = NULL;
	}
	return 0;
}

int owed_remap(struct owed *owed, uint64_t from, uint64_t to, uint64_t len)
{
	struct owed_area *area;
	int ret;

	if (from == to)
		return 0;
	ret = split_around(owed, from, from + len);
	if (!ret)
		ret = owed_unmap(owed, to, to + len);
	/* mremap(2) refuses overlapping places, so moved areas are not met again. */
	for (area = owed_next(owed, from); !ret && area && area->start < from + len;
	     area = RB_NEXT(owed_tree, &owed->areas, area))
		ret = move_area(owed, area, from, to);
	return ret;
}

/* The words that hold [area->image, + length of area), as bits of the child's own. */
static struct owed_bits *fork_bits(const struct owed_area *area)
{
	const struct owed_bits *from = area->bits;
	uint64_t first, last, aligned;
	struct owed_bits *bits;

	if (!from || !from->nr_owed ||
	    !bits_span(from, area->image, area->end - area->start, &first, &last))
		return NULL;
	aligned = first / WORD_BITS * WORD_BITS;
	bits = owed_bits_new(&(struct owed_shape){
		.heap = from->heap,
		.base = from->base + aligned * from->page_size,
		.len = (last - aligned) * from->page_size,
		.page_size = from->page_size,
		.object = from->object,
		.source = from->source,
	});
	if (!bits)
		return NULL;
	for (uint64_t word = first / WORD_BITS; word * WORD_BITS < last; word++) {
		uint64_t have = from->words[word] & word_mask(word, first, last);

		bits->words[word - first / WORD_BITS] = have;
		bits->nr_owed += (uint64_t)__builtin_popcountll(have);
	}
	return bits;
}

/* A mapping of a segment may grow (mremap(2)) into what it does not map yet. */
static bool area_owes(struct owed_area *area)
{
	struct owed_run run;

	if (area->kind == LAZY_RANGE_SHMEM)
		return area->bits && area->bits->nr_owed;
	return owed_area_run(area, area->start, 0, &run);
}

int owed_fork(struct owed *parent, struct owed *child)
{
	struct owed_area *area;

	owed_for_each(area, parent)
	{
		struct owed_area copy = *area;
		int ret;

		if (area->flags & LAZY_RANGE_DONTFORK)
			continue;
		if (area->flags & LAZY_RANGE_WIPEONFORK || !area_owes(area))
			copy.bits = NULL;
		else if (area->kind == LAZY_RANGE_SHMEM)
			copy.bits = owed_bits_get(area->bits);
		else if (!(copy.bits = fork_bits(area)))
			return -ENOMEM;
		ret = area_insert(child, &copy);
		owed_bits_put(copy.bits);
		if (ret)
			return ret;
	}
	return 0;
}

uint64_t owed_count(struct owed *owed)
{
	struct owed_area *area;
	uint64_t count = 0;

	owed_for_each(area, owed)
	{
		struct owed_run run = { .end = area->start };

		if (area->kind == LAZY_RANGE_SHMEM)
			continue;
		while (owed_area_run(area, run.end, UINT64_MAX, &run))
			count += (run.end - run.start) / area->page_size;
	}
	return count;
}

bool owed_is_empty(struct owed *owed)
{
	struct owed_area *area;

	owed_for_each(area, owed)
	{
		if (area_owes(area))
			return false;
	}
	return true;
}
