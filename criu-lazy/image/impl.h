/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside image/ only: an open image.
 *
 *   file    [......................................................]
 *   window            base |----- pos -------- filled |
 *
 * Readers: buf holds file bytes base .. base + filled, the next unread one at pos. Writers: buf
 * holds what is not written yet (pos is unused), base is what has been written.
 */
#ifndef IMAGE_IMPL_H
#define IMAGE_IMPL_H

#include <stdbool.h>

#include "image/image.h"
#include "image/kinds.h"

enum {
	IMAGE_NAME_MAX = 64,
	/* Bytes buffered at most before they are written, or read at once. */
	IMAGE_WINDOW = 1 << 20,
	/* The largest message that is believed: a quarter of a million VMAs need 16 MiB. */
	IMAGE_MESSAGE_MAX = 64 << 20,
	IMAGE_PARENTS_MAX = 1024,
};

struct image {
	const struct image_kind_info *kind;
	int fd;
	bool is_writer;
	int error; /* writer: the first failure, told again by image_close() */
	uint8_t *buf;
	size_t capacity, filled, pos;
	uint64_t base;
	uint64_t size; /* readers: of the file */
	char name[IMAGE_NAME_MAX];
};

/* A struct image for (kind, id) with its file opened by flags, relative to dir. -ENOENT unlogged.
 */
int image_new(struct image_dir *dir, enum image_kind kind, uint64_t id, int flags,
	      struct image **out);
/* Closes the file and frees, whatever the state. */
void image_free(struct image *img);
/* Writers: everything buffered goes to the file. */
int image_flush(struct image *img);

/* The file name of (kind, id); -EINVAL if it does not fit. */
int image_format_name(const struct image_kind_info *kind, uint64_t id, char *buf, size_t size);
/* Could name be of that kind with some id in digits? */
bool image_name_is_of(const struct image_kind_info *kind, const char *name);

#endif
