/* SPDX-License-Identifier: GPL-2.0 */
/* A whole small file (of /proc, mostly) as a NUL-terminated string, in a buffer that is reused. */
#ifndef UTIL_TEXT_H
#define UTIL_TEXT_H

#include <stddef.h>

struct text {
	char *data; /* NUL-terminated after text_read_at(); NULL before */
	size_t len; /* without the NUL */
	size_t cap;
};

/*
 * Reads path (relative to dirfd) to its end, growing the buffer. 0, or a negative errno, not
 * logged: a vanished task is an ordinary result. At most 64 MiB: -EFBIG.
 */
int text_read_at(int dirfd, const char *path, struct text *text);
void text_free(struct text *text);
#define scoped_text __attribute__((cleanup(text_free)))

#endif
