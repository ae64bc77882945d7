// SPDX-License-Identifier: GPL-2.0
/* Directories of images, and the chain of parents that incremental sets are made of. */
#include "image/image.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "image/impl.h"
#include "util/log.h"
#include "util/scope.h"

struct image_dir {
	int fd;
	dev_t dev;
	ino_t ino;
	unsigned int depth;
	bool parent_known;
	struct image_dir *parent;
	const struct image_dir *child; /* the one whose parent this is; NULL at the top */
};

static int image_dir_new(int *fd, const struct image_dir *child, struct image_dir **out)
{
	struct stat st;

	if (fstat(*fd, &st))
		return log_errno("images directory: stat");
	if (!S_ISDIR(st.st_mode))
		return log_ret(-ENOTDIR, "images directory: fd %d", *fd);
	struct image_dir *dir = calloc(1, sizeof(*dir));
	if (!dir)
		return log_ret(-ENOMEM, "images directory");
	dir->fd = take_fd(fd);
	dir->dev = st.st_dev;
	dir->ino = st.st_ino;
	dir->child = child;
	dir->depth = child ? child->depth + 1 : 0;
	*out = dir;
	return 0;
}

int image_dir_open(const char *path, int dirfd, struct image_dir **out)
{
	scoped_fd int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : dirfd;

	if (fd < 0)
		return path ? log_errno("images directory %s: open", path)
			    : log_ret(-EBADF, "images directory: fd %d", dirfd);
	return image_dir_new(&fd, NULL, out);
}

void image_dir_close(struct image_dir *dir)
{
	while (dir) {
		struct image_dir *parent = dir->parent;

		close(dir->fd);
		free(dir);
		dir = parent;
	}
}

static bool is_of_a_set(const char *name)
{
	for (int i = 0; i < IMG_KINDS_COUNT; i++) {
		const struct image_kind_info *kind = image_kind_info((enum image_kind)i);

		if (kind->frame != IMAGE_FRAME_SERVICE && image_name_is_of(kind, name))
			return true;
	}
	return false;
}

/* The inventory first: what is left of a set that is half removed is none. */
int image_dir_clear(struct image_dir *dir)
{
	scoped_fd int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scoped_dir DIR *list = NULL;
	const struct dirent *entry;

	if (unlinkat(dir->fd, image_kind_info(IMG_INVENTORY)->pattern, 0) && errno != ENOENT)
		return log_errno("images directory: remove the inventory of an earlier set");
	list = fd < 0 ? NULL : fdopendir(fd);
	if (!list)
		return log_errno("images directory: list");
	take_fd(&fd);
	while ((entry = readdir(list))) {
		if (is_of_a_set(entry->d_name) && unlinkat(dir->fd, entry->d_name, 0) &&
		    errno != ENOENT)
			return log_errno("images directory: remove %s of an earlier set",
					 entry->d_name);
	}
	return 0;
}

int image_dir_fd(const struct image_dir *dir)
{
	return dir->fd;
}

static bool is_in_chain(const struct image_dir *dir, const struct image_dir *other)
{
	for (; dir; dir = dir->child)
		if (dir->dev == other->dev && dir->ino == other->ino)
			return true;
	return false;
}

int image_dir_parent(struct image_dir *dir, struct image_dir **out)
{
	*out = dir->parent;
	if (dir->parent_known)
		return 0;
	scoped_fd int fd = openat(dir->fd, "parent", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct image_dir *parent;

	if (fd < 0 && errno != ENOENT)
		return log_errno("images directory: open parent %u", dir->depth + 1);
	if (fd < 0) {
		struct stat st;

		/* A link to nowhere is a lost parent, not a set without one. */
		if (!fstatat(dir->fd, "parent", &st, AT_SYMLINK_NOFOLLOW))
			return log_ret(-ENOENT, "images directory: parent %u is gone",
				       dir->depth + 1);
		dir->parent_known = true;
		return 0;
	}
	int ret = image_dir_new(&fd, dir, &parent);

	if (ret)
		return ret;
	if (parent->depth > IMAGE_PARENTS_MAX || is_in_chain(dir, parent)) {
		image_dir_close(parent);
		return log_ret(-ELOOP, "images directory: parent %u", dir->depth + 1);
	}
	dir->parent_known = true;
	*out = dir->parent = parent;
	return 0;
}
