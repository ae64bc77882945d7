// SPDX-License-Identifier: GPL-2.0
#include "kinds/external.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

bool external_is_named(const struct options *opts, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < opts->external.count; i++) {
		const char *item = opts->external.items[i];

		if (!strncmp(item, key, len) && (!item[len] || item[len] == ':'))
			return true;
	}
	return false;
}

static const char *without_slash(const char *key)
{
	return *key == '/' ? key + 1 : key;
}

bool inherit_fd_match(const char *item, const char *key, int *fd)
{
	char *end;
	long number;

	if (strncmp(item, "fd[", 3) || item[3] < '0' || item[3] > '9')
		return false;
	errno = 0;
	number = strtol(item + 3, &end, 10);
	if (errno || number > INT_MAX || strncmp(end, "]:", 2))
		return false;
	*fd = (int)number;
	return !strcmp(without_slash(end + 2), without_slash(key));
}

static int find_inherited(const struct restore *restore, const char *key)
{
	const struct string_list *list = &restore->opts->inherit_fd;
	int fd;

	for (size_t i = 0; i < list->count; i++) {
		if (inherit_fd_match(list->items[i], key, &fd))
			return fd;
	}
	return -1;
}

bool inherit_fd_has(const struct restore *restore, const char *key)
{
	return find_inherited(restore, key) >= 0;
}

int inherit_fd_open(const struct restore *restore, const char *key, int *fd)
{
	int inherited = find_inherited(restore, key);

	if (inherited < 0)
		return -ENOENT;
	*fd = fcntl(inherited, F_DUPFD_CLOEXEC, 3);
	if (*fd < 0)
		return log_errno("inherited fd %d for %s", inherited, key);
	log_debug("%s is the inherited fd %d", key, inherited);
	return 0;
}
