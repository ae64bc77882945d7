/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A page source yields pages for (task image id, address): a local image with
 * its parent chain, a remote server, later a stream. Lookup is O(log n).
 * Used by the restore (eager) and by the lazy-pages daemon. Thread safe after
 * opening: readers only pread.
 */
#ifndef MEM_PAGE_SOURCE_H
#define MEM_PAGE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

enum page_origin {
	PAGE_LOCAL,  /* bytes at fd:offset */
	PAGE_REMOTE, /* PE_LAZY without PE_PRESENT: only a page server has it */
};

/* A run of consecutive pages, from one pagemap entry after following PE_PARENT. */
struct page_extent {
	uint64_t vaddr; /* byte address (task) or byte offset (shmem) */
	uint64_t len;	/* bytes, a multiple of 4096 */
	bool is_lazy;	/* PE_LAZY */
	enum page_origin origin;
	int fd;		 /* PAGE_LOCAL: borrowed pages-N.img */
	uint64_t offset; /* PAGE_LOCAL: of the first byte */
};

struct page_source;

enum page_object { PAGE_OBJECT_TASK, PAGE_OBJECT_SHMEM };

/*
 * Opens the pagemap of a task (id: image pid) or shared segment (id: shmid),
 * flattening the parent chain into one sorted array of extents, checking
 * order, overlap, alignment and that every page lies inside its pages file.
 * -ENOENT (not logged): no pagemap file.
 */
int page_source_open(struct image_dir *dir, enum page_object object, uint64_t id,
		     struct page_source **out);
void page_source_close(struct page_source *source);

/* All extents, sorted by address and apart from one another; borrowed, valid as long as source. */
size_t page_source_extent_count(const struct page_source *source);
const struct page_extent *page_source_extents(const struct page_source *source);
/* The first extent that ends after vaddr, or NULL. O(log n). */
const struct page_extent *page_source_find(const struct page_source *source, uint64_t vaddr);
/* Reads len bytes at vaddr (both page aligned), which must all be PAGE_LOCAL: -ENODATA if not;
 * -EIO on a short file. Several extents may be crossed if they are adjacent. */
int page_source_read(const struct page_source *source, uint64_t vaddr, void *buf, size_t len);

#endif
