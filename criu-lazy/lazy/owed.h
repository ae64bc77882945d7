/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What one address space still has to get.
 *
 *   tree of areas, by current address             bits, one per page of the image
 *   [start, end) -> image address, kind, flags ->  1: owed, 0: delivered or dropped
 *
 * An area is a registered interval whose pages lie side by side in the image; mremap(2) moves
 * areas and splits them, so the tree stays as small as the history of the address space. Which
 * pages are owed is a bitmap over image addresses that all parts of one original area share:
 * splitting and moving never touches it, 65536 single pages load as 65536 bits, fork copies words.
 * A registered page that is not owed is zeros; an area without bits owes nothing at all, and costs
 * the same whatever its length.
 *
 * Bits of a shared segment are shared by all areas that map it, in all address spaces.
 * No kernel in here. Not thread safe: the engine's thread owns it.
 */
#ifndef LAZY_OWED_H
#define LAZY_OWED_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lazy/heap.h"
#include "lazy/protocol.h"

/*
 * As it lies in a shared heap, for the daemon that comes next: never changed once it is made, but
 * for the words, whose bits are only cleared. So a copy that was made and not noted is met again,
 * and found to be there already, and nothing else can come of being killed in between.
 */
struct owed_stretch {
	uint64_t base; /* image address of bit 0 */
	uint64_t nr_pages;
	uint64_t page_size;
	uint64_t object;     /* whose pages: as transport/wire.h names it */
	uint64_t generation; /* of the daemon that set `owner` */
	struct owed_bits *owner;
	uint64_t words[];
};

/* Owed pages of one stretch of the image, reference counted. */
struct owed_bits {
	size_t refs;
	uint64_t base;
	uint64_t nr_pages;
	uint64_t nr_owed; /* that some area can reach: munmap(2) leaves bits behind */
	uint64_t page_size;
	uint64_t object;
	void *source; /* of the bytes: opaque here, copied to forked children */
	uint64_t *words;
	struct heap *heap; /* NULL: malloc(3) */
	uint64_t at;	   /* in the heap: struct owed_stretch */
	struct owed_stretch *stretch;
};

/* What a stretch is made with. */
struct owed_shape {
	struct heap *heap; /* borrowed; NULL: malloc(3) */
	uint64_t base, len, page_size, object;
	void *source;
};

struct owed_area {
	RB_ENTRY(owed_area) link;
	uint64_t start, end; /* current addresses */
	uint64_t image;	     /* image address (shmem: offset in the segment) of start */
	uint64_t page_size;
	uint32_t kind;		/* enum lazy_range_kind */
	uint32_t flags;		/* enum lazy_range_flag */
	struct owed_bits *bits; /* reference held; NULL: owes nothing */
};

RB_HEAD(owed_tree, owed_area);

struct owed {
	struct owed_tree areas;
	size_t nr_areas;
	bool is_dirty;	  /* areas have changed since somebody last cleared this */
	uint64_t dropped; /* private pages that were owed and are not any more, undelivered */
};

/* A run of owed pages, adjacent in memory and in the image, in one area. */
struct owed_run {
	struct owed_area *area;
	uint64_t start, end; /* current addresses */
	uint64_t image;
};

/* All bits 0. One reference is the caller's. NULL: out of memory. */
struct owed_bits *owed_bits_new(const struct owed_shape *shape);
/* The stretch at `at`, which another process has made; nr_owed is 0 until areas are added with
 * owed_restore(). NULL: out of memory. */
struct owed_bits *owed_bits_adopt(struct heap *heap, uint64_t at, void *source);
/* Bytes of its block in the heap. */
uint64_t owed_stretch_size(const struct owed_stretch *stretch);
/* Pages owed in [image, image + len). */
uint64_t owed_bits_count(const struct owed_bits *bits, uint64_t image, uint64_t len);
struct owed_bits *owed_bits_get(struct owed_bits *bits);
void owed_bits_put(struct owed_bits *bits);
/* Sets / clears pages that [image, image + len) touches, cut to the stretch. How many changed. */
uint64_t owed_bits_set(struct owed_bits *bits, uint64_t image, uint64_t len);
uint64_t owed_bits_clear(struct owed_bits *bits, uint64_t image, uint64_t len);

void owed_init(struct owed *owed);
void owed_fini(struct owed *owed);

/*
 * Adds a registered interval. bits (may be NULL) are referenced, not taken. What was known at
 * [start, end) before is dropped. 0 or -ENOMEM.
 */
int owed_add(struct owed *owed, const struct owed_area *what);
/* The same of an area that was known before, to a daemon that has died; nothing is there yet. */
int owed_restore(struct owed *owed, const struct owed_area *what);

/* The area that holds addr, or NULL; the first area that ends after addr, or NULL. O(log n). */
struct owed_area *owed_find(struct owed *owed, uint64_t addr);
struct owed_area *owed_next(struct owed *owed, uint64_t addr);

/* Is the page at addr owed? */
bool owed_is_owed(const struct owed_area *area, uint64_t addr);
/* The first run of owed pages at or after addr in this area, at most max bytes (at least a page).
 */
bool owed_area_run(struct owed_area *area, uint64_t addr, uint64_t max, struct owed_run *out);
/* Delivered, or there already. How many pages were owed. */
uint64_t owed_done(struct owed_area *area, uint64_t start, uint64_t end);

/* munmap(2): the interval is registered no more; private pages there are owed no more. */
int owed_unmap(struct owed *owed, uint64_t start, uint64_t end);
/*
 * MADV_DONTNEED, MADV_FREE: still registered, private pages there are owed no more. Shared segments
 * are left alone: their content stays (see owed_punch for MADV_REMOVE). Returns the number of pages
 * dropped.
 */
uint64_t owed_remove(struct owed *owed, uint64_t start, uint64_t end);
/* Is something of a shared segment owed in [start, end)? */
bool owed_has_shared(struct owed *owed, uint64_t start, uint64_t end);
/* MADV_REMOVE on shared segments: a hole, for everybody who maps it. Pages dropped. */
uint64_t owed_punch(struct owed *owed, uint64_t start, uint64_t end);
/*
 * mremap(2): what is owed in [from, from + len) is owed at `to` now. The old place stays registered
 * and owes nothing (MREMAP_DONTUNMAP); an unmap event follows when it is gone.
 */
int owed_remap(struct owed *owed, uint64_t from, uint64_t to, uint64_t len);
/* fork(2): child (empty, initialised) owes what the parent owes, except DONTFORK areas, which it
 * has not, and WIPEONFORK areas, which it has empty. */
int owed_fork(struct owed *parent, struct owed *child);

/* Is anything owed in [start, end), of shared segments too? */
bool owed_has_any(struct owed *owed, uint64_t start, uint64_t end);

/* Private pages owed. O(areas + bits). */
uint64_t owed_count(struct owed *owed);
/*
 * Can nothing be owed to it any more? Shared segments count as a whole: a mapping grows in place
 * without an event, into parts that others have yet to bring, and must be registered there.
 */
bool owed_is_empty(struct owed *owed);

RB_PROTOTYPE(owed_tree, owed_area, link, owed_area_compare)
#define owed_for_each(area, owed) RB_FOREACH (area, owed_tree, &(owed)->areas)

#endif
