// SPDX-License-Identifier: GPL-2.0
#include "kinds/events/file_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kinds/own_fd.h"
#include "util/scope.h"

struct handle_buffer {
	unsigned int bytes;
	int type;
	uint8_t data[FILE_HANDLE_MAX];
};
_Static_assert(sizeof(struct handle_buffer) == sizeof(struct file_handle) + FILE_HANDLE_MAX,
	       "struct file_handle with room for the largest handle");

/* mountinfo escapes space, tab, newline and backslash as \ooo. */
static void unescape(char *text)
{
	char *out = text;

	while (*text) {
		unsigned int code;

		if (text[0] == '\\' && sscanf(text + 1, "%3o", &code) == 1) {
			*out++ = code;
			text += 4;
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
}

static int open_on_mount(const char *mount, const struct file_key *key)
{
	struct handle_buffer handle = { .bytes = key->handle_bytes, .type = key->handle_type };
	scoped_fd int mount_fd = open(mount, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int fd;

	if (mount_fd < 0)
		return -errno;
	memcpy(handle.data, key->handle, key->handle_bytes);
	fd = open_by_handle_at(mount_fd, (struct file_handle *)&handle, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void task_root(pid_t pid, char *root, size_t size)
{
	if (pid)
		snprintf(root, size, "/proc/%d/root", pid);
	else
		snprintf(root, size, "%s", "");
}

typedef bool (*accept_fn)(int fd, const char *root, const struct file_key *key, char **path);

/* Walks the mounts of the device; accept says whether the opened file will do. */
static int search_mounts(pid_t pid, const struct file_key *key, accept_fn accept, char **path,
			 int *fd)
{
	char name[64], root[40], line[4096 + 512], point[4096];
	unsigned int major, minor;
	int ret = -ENOENT;

	if (!key->handle_bytes || key->handle_bytes > FILE_HANDLE_MAX)
		return -ENOENT;
	task_root(pid, root, sizeof(root));
	snprintf(name, sizeof(name), pid ? "/proc/%d/mountinfo" : "/proc/self/mountinfo", pid);
	scoped_file FILE *mounts = fopen(name, "re");
	if (!mounts)
		return -errno;
	while (fgets(line, sizeof(line), mounts)) {
		char full[sizeof(point) + sizeof(root)];
		scoped_fd int found = -1;

		if (sscanf(line, "%*d %*d %u:%u %*s %4095s", &major, &minor, point) != 3 ||
		    (major << 20 | minor) != key->dev)
			continue;
		unescape(point);
		snprintf(full, sizeof(full), "%s%s", root, point);
		found = open_on_mount(full, key);
		if (found == -ESTALE)
			ret = -ESTALE;
		if (found < 0 || (accept && !accept(found, root, key, path)))
			continue;
		*fd = take_fd(&found);
		return 0;
	}
	return ret;
}

/* The path must lead to the same inode, seen from the task's root. */
static bool accept_path(int fd, const char *root, const struct file_key *key, char **path)
{
	char name[PATH_MAX], full[PATH_MAX + 64];
	struct stat by_handle, by_path;
	ssize_t len = readlink(own_fd_path(fd).text, name, sizeof(name) - 1);

	if (len <= 0)
		return false;
	name[len] = '\0';
	snprintf(full, sizeof(full), "%s%s", root, name);
	if (fstat(fd, &by_handle) || lstat(full, &by_path) || by_handle.st_dev != by_path.st_dev ||
	    by_handle.st_ino != by_path.st_ino)
		return false;
	*path = strdup(name);
	return *path;
}

int file_handle_open(pid_t pid, const struct file_key *key, int *fd)
{
	return search_mounts(pid, key, NULL, NULL, fd);
}

int file_handle_path(pid_t pid, const struct file_key *key, char **path)
{
	scoped_fd int fd = -1;

	*path = NULL;
	return search_mounts(pid, key, accept_path, path, &fd);
}
