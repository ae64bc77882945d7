// SPDX-License-Identifier: GPL-2.0
/* Records of the source: options, the directory, images. All of it is checked. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrate/forward.h"
#include "migrate/receive.h"
#include "util/log.h"
#include "util/scope.h"

enum { PATIENCE_MS = 600000 };

static const char new_dir[] = "/var/tmp/criu-lazy-migrate-XXXXXX";

/* ---- records ------------------------------------------------------------------- */

static int read_bytes(void *to, size_t len, int timeout_ms)
{
	char *at = to;

	while (len) {
		struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
		int ret = poll(&fd, 1, timeout_ms);
		ssize_t got;

		if (!ret)
			return -ETIMEDOUT;
		if (ret < 0)
			return -errno;
		got = read(STDIN_FILENO, at, len);
		if (got <= 0)
			return got ? -errno : -EPIPE;
		at += got;
		len -= (size_t)got;
	}
	return 0;
}

int receive_record(int timeout_ms)
{
	struct migrate_record record;
	int ret = read_bytes(&record, sizeof(record), timeout_ms);

	if (ret)
		return ret;
	return record.len ? -EPROTO : (int)(record.type & INT_MAX);
}

/* ---- the directory --------------------------------------------------------------- */

static int make_dir(struct receive *receive, const char *path, size_t len)
{
	if (receive->dir)
		return log_ret(-EPROTO, "a second directory");
	receive->dir = len ? strndup(path, len) : strdup(new_dir);
	if (!receive->dir)
		return -ENOMEM;
	receive->dir_is_ours = !len;
	if (!len && !mkdtemp(receive->dir))
		return log_errno("directory %s", receive->dir);
	if (len && receive->dir[0] != '/')
		return log_ret(-EINVAL, "--remote-dir %s: an absolute path is needed",
			       receive->dir);
	receive->dir_is_new = !len || !mkdir(receive->dir, 0700);
	if (!receive->dir_is_new && errno != EEXIST)
		return log_errno("directory %s", receive->dir);
	receive->dir_fd = open(receive->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (receive->dir_fd < 0)
		return log_errno("directory %s", receive->dir);
	return 0;
}

DIR *receive_list(const struct receive *receive)
{
	int fd = receive->dir_fd < 0
			 ? -1
			 : openat(receive->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

/* Other people's files, perhaps the source's own images where both hosts share a disk. */
static int check_empty(struct receive *receive)
{
	scoped_dir DIR *dir = receive_list(receive);
	const struct dirent *entry;

	if (!dir)
		return log_errno("directory %s", receive->dir);
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		close(receive->dir_fd);
		receive->dir_fd = -1;
		return log_ret(-ENOTEMPTY,
			       "--remote-dir %s: is not empty; name another directory, or none",
			       receive->dir);
	}
	return 0;
}

void receive_clean(struct receive *receive)
{
	scoped_dir DIR *dir = receive_list(receive);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR)
			unlinkat(receive->dir_fd, entry->d_name, 0);
	}
	if (receive->dir_is_new && rmdir(receive->dir))
		log_errno("directory %s: remove", receive->dir);
}

/* ---- images ------------------------------------------------------------------------ */

static bool is_image_name(const char *name, size_t len)
{
	return len > 4 && len < NAME_MAX && name[0] != '.' && !memchr(name, '/', len) &&
	       !memcmp(name + len - 4, ".img", 4) && strnlen(name, len) == len;
}

static int open_file(struct receive *receive, const char *name, size_t len, int *out)
{
	if (receive->dir_fd < 0 || !is_image_name(name, len))
		return log_ret(-EPROTO, "an image with the name \"%.*s\"", (int)len, name);
	if (*out >= 0)
		close(*out);
	*out = openat(receive->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		      0600);
	return *out < 0 ? log_errno("%s/%s", receive->dir, name) : 0;
}

static int add_data(const struct receive *receive, int fd, const char *bytes, size_t len)
{
	if (fd < 0)
		return log_ret(-EPROTO, "bytes of no image");
	while (len) {
		ssize_t done = write(fd, bytes, len);

		if (done < 0)
			return log_errno("%s", receive->dir);
		bytes += done;
		len -= (size_t)done;
	}
	return 0;
}

static int start(struct receive *receive, const void *bytes, size_t len)
{
	struct migrate_start start;

	if (len != sizeof(start) || receive->dir_fd < 0)
		return log_ret(-EPROTO, "a start without images");
	memcpy(&start, bytes, sizeof(start));
	receive->shares_pids = start.shares_pids;
	return 0;
}

static int obey(struct receive *receive, const struct migrate_record *record, char *bytes,
		int *file)
{
	int ret;

	switch (record->type) {
	case MIGRATE_OPTION:
		return forward_apply(&receive->opts, bytes, record->len);
	case MIGRATE_DIR:
		ret = make_dir(receive, bytes, record->len);
		return ret ? ret : check_empty(receive);
	case MIGRATE_FILE:
		return open_file(receive, bytes, record->len, file);
	case MIGRATE_DATA:
		return add_data(receive, *file, bytes, record->len);
	case MIGRATE_START:
		return start(receive, bytes, record->len);
	default:
		return log_ret(-EPROTO, "a record of type %u", record->type);
	}
}

int receive_images(struct receive *receive)
{
	scoped_free char *bytes = malloc(MIGRATE_RECORD_MAX + 1);
	struct migrate_record record = { 0 };
	scoped_fd int file = -1;
	int ret = bytes ? 0 : -ENOMEM;

	while (!ret && record.type != MIGRATE_START) {
		ret = read_bytes(&record, sizeof(record), PATIENCE_MS);
		if (!ret && record.len > MIGRATE_RECORD_MAX)
			return log_ret(-EPROTO, "a record of %u bytes", record.len);
		if (!ret)
			ret = read_bytes(bytes, record.len, PATIENCE_MS);
		if (ret)
			return log_ret(ret, "the source has gone");
		bytes[record.len] = '\0';
		ret = obey(receive, &record, bytes, &file);
	}
	return ret;
}
