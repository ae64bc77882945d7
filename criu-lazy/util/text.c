// SPDX-License-Identifier: GPL-2.0
#include "util/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "util/scope.h"

enum { TEXT_FIRST = 4096, TEXT_MAX = 64 << 20 };

static int grow(struct text *text)
{
	size_t cap = text->cap ? text->cap * 2 : TEXT_FIRST;
	char *data;

	if (cap > TEXT_MAX)
		return -EFBIG;
	data = realloc(text->data, cap);
	if (!data)
		return -ENOMEM;
	text->data = data;
	text->cap = cap;
	return 0;
}

int text_read_at(int dirfd, const char *path, struct text *text)
{
	scoped_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	text->len = 0;
	for (;;) {
		ssize_t n;

		if (text->len + 1 >= text->cap) {
			int ret = grow(text);

			if (ret)
				return ret;
		}
		n = read(fd, text->data + text->len, text->cap - text->len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		text->len += n;
	}
	text->data[text->len] = '\0';
	return 0;
}

void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){ 0 };
}
