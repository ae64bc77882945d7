// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

char *fuzz_string(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);

	if (!text)
		abort();
	if (len)
		memcpy(text, data, len);
	text[len] = '\0';
	return text;
}

static char directory[] = "/tmp/fuzz-criu-lazy-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static void leave_directory(void)
{
	if (!chdir("/"))
		nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void fuzz_enter_directory(void)
{
	if (!mkdtemp(directory) || chdir(directory) || atexit(leave_directory))
		abort();
}

void fuzz_put_file(const char *name, const void *head, size_t head_len, const void *data,
		   size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, head, head_len) != (ssize_t)head_len ||
	    write(fd, data, len) != (ssize_t)len)
		abort();
	close(fd);
}
