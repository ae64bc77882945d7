// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrate/source.h"
#include "util/log.h"
#include "util/scope.h"

static int send_file(struct source *source, int dir, const char *name, char *buffer)
{
	scoped_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t got;
	int ret;

	if (fd < 0 || fstat(fd, &st))
		return log_errno("%s/%s", source->dir, name);
	if (!S_ISREG(st.st_mode))
		return 0;
	ret = link_send(&source->link, MIGRATE_FILE, name, strlen(name));
	while (!ret) {
		got = read(fd, buffer, MIGRATE_RECORD_MAX);
		if (got < 0)
			return log_errno("%s/%s", source->dir, name);
		if (!got)
			break;
		source->sent += (uint64_t)got;
		ret = link_send(&source->link, MIGRATE_DATA, buffer, (size_t)got);
	}
	return ret;
}

/* Logs and figures stay; so do sockets of a daemon. */
static bool is_image(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 4 && !strcmp(name + len - 4, ".img");
}

int source_send_images(struct source *source)
{
	scoped_free char *buffer = malloc(MIGRATE_RECORD_MAX);
	scoped_dir DIR *dir = opendir(source->dir);
	const struct dirent *entry;
	int ret = 0;

	if (!dir)
		return log_errno("%s", source->dir);
	if (!buffer)
		return -ENOMEM;
	source->sent = 0;
	while (!ret && (entry = readdir(dir))) {
		if (is_image(entry->d_name))
			ret = send_file(source, dirfd(dir), entry->d_name, buffer);
	}
	return ret;
}
