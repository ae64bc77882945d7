/* SPDX-License-Identifier: GPL-2.0 */
/* Writes pagemap entries, joining those that touch and have the same flags. */
#ifndef MEM_PAGEMAP_WRITER_H
#define MEM_PAGEMAP_WRITER_H

#include <stdint.h>

#include "image/image.h"

struct page_push;
struct push_list;

struct pagemap_writer {
	struct image *img;
	struct page_push *push; /* with list, instead of img */
	struct push_list *list;
	uint64_t start, end; /* of the entry not yet written; equal: none */
	uint32_t flags;
	uint64_t boundary; /* no entry reaches across; 0: none. May be set after begin. */
};
/* push: where entries go instead of a file, or NULL. */
int pagemap_writer_begin(struct image_dir *images, struct page_push *push, enum image_kind kind,
			 uint64_t id, uint32_t pages_id, struct pagemap_writer *out);
int pagemap_writer_add(struct pagemap_writer *writer, uint64_t start, uint64_t end, uint32_t flags);
/* Closes the file in any case; flushes it unless failed. With push: its pages are to follow. */
int pagemap_writer_end(struct pagemap_writer *writer, int failed);

#endif
