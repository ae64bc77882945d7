// SPDX-License-Identifier: GPL-2.0
/*
 * Names of unix sockets. A name is what bind(2) was given, byte for byte; a path name also is a
 * file.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "kinds/own_fd.h"
#include "kinds/sockets/unix.h"
#include "util/log.h"
#include "util/scope.h"

struct unix_name_text unix_name_text(const uint8_t *name, size_t len)
{
	struct unix_name_text out = { "an unnamed socket" };
	size_t skip = len && !name[0];

	if (!len)
		return out;
	snprintf(out.text, sizeof(out.text), "%s%.*s", skip ? "@" : "", (int)(len - skip),
		 (const char *)name + skip);
	return out;
}

static socklen_t make_address(const UnixSkEntry *usk, struct sockaddr_un *address)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, usk->name.data, usk->name.len); /* length checked by collect */
	return offsetof(struct sockaddr_un, sun_path) + usk->name.len;
}

static int refuse_bound(const struct unix_info *info, void *arg)
{
	return unix_info_is_bound_to(info, arg) ? -EADDRINUSE : 0;
}

/* Moves a file of that name out of the way: dead socket files for good, others for a while. A
 * socket that somebody still has is not ours to take the name from. */
static int make_room(int dir, const char *path, const char *aside, bool *was_moved)
{
	struct stat st;

	*was_moved = false;
	if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if (!aside) {
		int ret = S_ISSOCK(st.st_mode) ? unix_diag_each(~0u, refuse_bound, &st) : -EEXIST;

		if (ret)
			return ret;
		return unlinkat(dir, path, 0) ? -errno : 0;
	}
	if (renameat(dir, path, dir, aside))
		return -errno;
	*was_moved = true;
	return 0;
}

static int set_permissions(const UnixSkEntry *usk, int dir, const char *path)
{
	const FilePermsEntry *perms = usk->file_perms;

	if (!perms)
		return 0;
	if (fchownat(dir, path, perms->uid, perms->gid, AT_SYMLINK_NOFOLLOW))
		return -errno;
	return fchmodat(dir, path, perms->mode & 07777, 0) ? -errno : 0;
}

/* The directories of an unlinked name may be gone as well: they are made for a moment. */
struct made_dirs {
	char path[UNIX_NAME_MAX + 1];
	size_t ends[UNIX_NAME_MAX / 2]; /* lengths of path that were made */
	size_t count;
};

static int make_dirs(int dir, const char *path, struct made_dirs *made)
{
	made->count = 0;
	snprintf(made->path, sizeof(made->path), "%s", path);
	for (char *slash = made->path; (slash = strchr(slash + 1, '/'));) {
		int ret;

		*slash = '\0';
		ret = mkdirat(dir, made->path, 0755) ? -errno : 0;
		*slash = '/';
		if (!ret)
			made->ends[made->count++] = slash - made->path;
		else if (ret != -EEXIST)
			return ret;
	}
	return 0;
}

static void remove_dirs(int dir, struct made_dirs *made)
{
	while (made->count--) {
		made->path[made->ends[made->count]] = '\0';
		unlinkat(dir, made->path, AT_REMOVEDIR);
	}
}

static int bind_in(const UnixSkEntry *usk, int fd, int dir, const char *path, bool is_temporary,
		   int *file)
{
	struct sockaddr_un address;
	socklen_t len = make_address(usk, &address);
	char aside[UNIX_NAME_MAX + 32];
	bool was_moved, is_removed = is_temporary || usk->deleted;
	int ret;

	snprintf(aside, sizeof(aside), "%s.criu-lazy-%d", path, getpid());
	ret = make_room(dir, path, is_removed ? aside : NULL, &was_moved);
	if (ret)
		return ret;
	ret = bind(fd, (struct sockaddr *)&address, len) ? -errno : 0;
	if (!ret) {
		ret = set_permissions(usk, dir, path);
		if (!ret && file) {
			*file = openat(dir, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
			ret = *file < 0 ? -errno : 0;
		}
		if (is_removed && unlinkat(dir, path, 0) && !ret)
			ret = -errno;
	}
	if (was_moved && renameat(dir, aside, dir, path) && !ret)
		ret = -errno;
	return ret;
}

static int bind_deleted(const UnixSkEntry *usk, int fd, const char *path, bool is_temporary,
			int *file)
{
	struct made_dirs made;
	int ret = make_dirs(AT_FDCWD, path, &made);

	ret = ret ?: bind_in(usk, fd, AT_FDCWD, path, is_temporary, file);
	remove_dirs(AT_FDCWD, &made);
	return ret;
}

int unix_name_bind(const UnixSkEntry *usk, int fd, bool is_temporary, int *file)
{
	struct sockaddr_un address;
	socklen_t len = make_address(usk, &address);
	char path[UNIX_NAME_MAX + 1] = "";
	int ret;

	if (!usk->name.data[0])
		return bind(fd, (struct sockaddr *)&address, len) ? -errno : 0;
	memcpy(path, usk->name.data, usk->name.len);
	if (!usk->name_dir || !usk->name_dir[0])
		return usk->deleted || is_temporary
			       ? bind_deleted(usk, fd, path, is_temporary, file)
			       : bind_in(usk, fd, AT_FDCWD, path, is_temporary, file);

	/* The root task's own working directory; it is put back, tasks set theirs later. */
	scoped_fd int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (before < 0 || chdir(usk->name_dir))
		return -errno;
	ret = bind_in(usk, fd, AT_FDCWD, path, is_temporary, file);
	return fchdir(before) ? -errno : ret;
}

int unix_name_connect(const UnixSkEntry *usk, int fd, int file)
{
	struct sockaddr_un address;
	socklen_t len = make_address(usk, &address);

	if (file >= 0) {
		/* Also where the file was unlinked or the name is relative to somewhere else. */
		len = sizeof(address);
		snprintf(address.sun_path, sizeof(address.sun_path), "%s", own_fd_path(file).text);
	}
	return connect(fd, (struct sockaddr *)&address, len) ? -errno : 0;
}
