// SPDX-License-Identifier: GPL-2.0
/*
 * inotify(7): watches on inodes. fdinfo tells each one's device, inode and file handle; the image
 * keeps the handle and the path it leads to, which is preferred on restore (an inode number means
 * nothing on another host). Watch descriptors count up and are not chosen, so they are reached by
 * adding and removing. Events in the queue are lost, with a warning.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "kinds/events/fdinfo.h"
#include "kinds/events/file_handle.h"
#include "kinds/families.h"
#include "kinds/fown.h"
#include "kinds/kind.h"
#include "kinds/own_fd.h"
#include "util/log.h"
#include "util/scope.h"

/* More watches to skip than the default max_user_watches of any distribution: not from a kernel. */
enum { MAX_WD = 1 << 24 };

static bool inotify_detect(const struct fd_probe *probe)
{
	return !strcmp(probe->link, "anon_inode:inotify");
}

/* ---- dump ---------------------------------------------------------------- */

/* A watched file without a name lives as long as somebody has it open: by which descriptor? */
static int find_descriptor(const struct task *task, const struct inotify_watch *watch)
{
	const struct dirent *dent;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/fd", task->host_pid);
	scoped_dir DIR *dir = opendir(path);
	if (!dir)
		return -errno;
	while ((dent = readdir(dir))) {
		struct stat st;

		if (dent->d_name[0] == '.' || fstatat(dirfd(dir), dent->d_name, &st, 0))
			continue;
		if (st.st_ino == watch->inode &&
		    (major(st.st_dev) << 20 | minor(st.st_dev)) == watch->dev)
			return atoi(dent->d_name);
	}
	return -ENOENT;
}

static int dump_handle(const struct fd_probe *probe, const struct inotify_watch *watch,
		       InotifyWdEntry *wd)
{
	struct file_key key = {
		.dev = watch->dev,
		.inode = watch->inode,
		.handle_bytes = watch->handle_bytes,
		.handle_type = watch->handle_type,
	};
	FhEntry *fh = message_new(FhEntry, fh_entry);
	int ret, number;

	if (!fh)
		return -ENOMEM;
	wd->f_handle = fh;
	fh->bytes = watch->handle_bytes;
	fh->type = watch->handle_type;
	fh->handle = calloc(FH_ENTRY_SIZES__min_entries, sizeof(fh->handle[0]));
	if (!fh->handle)
		return -ENOMEM;
	fh->n_handle = FH_ENTRY_SIZES__min_entries;
	memcpy(fh->handle, watch->handle, watch->handle_bytes);
	memcpy(key.handle, watch->handle, watch->handle_bytes);
	ret = file_handle_path(probe->task->host_pid, &key, &fh->path);
	number = ret && probe->number >= 0 ? find_descriptor(probe->task, watch) : -1;
	if (number >= 0) {
		wd->has_fd = true;
		wd->fd = number;
		return 0;
	}
	if (ret)
		return log_ret(-EOPNOTSUPP,
			       "task %d: fd %d: inotify watch %d: no path leads to inode %lu of "
			       "device %u:%u (%s)",
			       probe->task->pid, probe->number, watch->wd, watch->inode,
			       watch->dev >> 20, watch->dev & 0xfffff, strerror(-ret));
	return 0;
}

static int dump_watch(const struct fd_probe *probe, const struct inotify_watch *watch,
		      InotifyWdEntry **out)
{
	InotifyWdEntry *wd = message_new(InotifyWdEntry, inotify_wd_entry);

	if (!wd)
		return -ENOMEM;
	*out = wd;
	wd->i_ino = watch->inode;
	wd->mask = watch->mask;
	wd->ignored_mask = watch->ignored_mask;
	wd->s_dev = watch->dev;
	wd->wd = watch->wd;
	return dump_handle(probe, watch, wd);
}

static void warn_of_events(const struct fd_probe *probe)
{
	int bytes = 0;

	if (!ioctl(probe->fd, FIONREAD, &bytes) && bytes)
		log_warn("task %d: fd %d: %d bytes of unread inotify events are not kept",
			 probe->task->pid, probe->number, bytes);
}

static int inotify_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	scoped_free struct inotify_watch *watches = NULL;
	InotifyFileEntry *ify = message_new(InotifyFileEntry, inotify_file_entry);
	size_t count;
	int ret;

	if (!ify)
		return -ENOMEM;
	entry->ify = ify;
	ify->id = entry->id;
	ify->flags = probe->flags;
	ret = fown_dump(dump, probe, &ify->fown);
	if (ret)
		return ret;
	ret = fdinfo_parse_inotify(probe->fdinfo, &watches, &count);
	if (ret)
		return log_ret(ret, "task %d: fd %d: inotify watches in fdinfo", probe->task->pid,
			       probe->number);
	warn_of_events(probe);
	ify->wd = calloc(count + 1, sizeof(ify->wd[0]));
	if (!ify->wd)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		/* Counted first: what is half filled is freed with the entry. */
		InotifyWdEntry *wd = NULL;

		ret = dump_watch(probe, &watches[i], &wd);
		if (wd)
			ify->wd[ify->n_wd++] = wd;
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- restore ------------------------------------------------------------- */

static int compare_wd(const void *a, const void *b)
{
	const InotifyWdEntry *const *left = a, *const *right = b;

	return (*left)->wd < (*right)->wd ? -1 : (*left)->wd > (*right)->wd;
}

static int inotify_collect(struct restore *restore, struct file_object *object)
{
	InotifyFileEntry *ify = object->entry->ify;

	if (ify->n_wd)
		qsort(ify->wd, ify->n_wd, sizeof(ify->wd[0]), compare_wd);
	for (size_t i = 0; i < ify->n_wd; i++) {
		const InotifyWdEntry *wd = ify->wd[i];
		const FhEntry *fh = wd->f_handle;

		if (!wd->wd || wd->wd > MAX_WD || (i && wd->wd == ify->wd[i - 1]->wd))
			return log_ret(-EBADMSG, "inotify %#x: absurd watch descriptor %u",
				       object->id, wd->wd);
		if (fh->bytes > FILE_HANDLE_MAX || fh->bytes > fh->n_handle * sizeof(fh->handle[0]))
			return log_ret(-EBADMSG, "inotify %#x: watch %u: absurd file handle",
				       object->id, wd->wd);
	}
	return 0;
}

/* In the task that holds the inotify; its descriptors are in place. */
static int open_target(const InotifyWdEntry *wd, int *fd)
{
	struct file_key key = {
		.dev = wd->s_dev,
		.inode = wd->i_ino,
		.handle_bytes = wd->f_handle->bytes,
		.handle_type = wd->f_handle->type,
	};

	if (wd->has_fd) {
		*fd = open(own_fd_path(wd->fd).text, O_PATH | O_CLOEXEC);
		return *fd < 0 ? -errno : 0;
	}
	if (wd->f_handle->path) {
		*fd = open(wd->f_handle->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (*fd >= 0)
			return 0;
	}
	memcpy(key.handle, wd->f_handle->handle, key.handle_bytes);
	return file_handle_open(0, &key, fd);
}

static int add_watch(int inotify, const struct file_object *object, const InotifyWdEntry *wd)
{
	scoped_fd int target = -1;
	int ret = open_target(wd, &target), got;

	if (ret)
		return log_ret(ret, "inotify %#x: watch %u: open %s", object->id, wd->wd,
			       wd->f_handle->path ?: "the file handle");
	for (;;) {
		got = inotify_add_watch(inotify, own_fd_path(target).text,
					wd->mask & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT));
		if (got < 0)
			return log_errno("inotify %#x: watch %u on %s", object->id, wd->wd,
					 wd->f_handle->path ?: "a file handle");
		if ((uint32_t)got == wd->wd)
			return 0;
		if ((uint32_t)got > wd->wd)
			return log_ret(
				-EEXIST,
				"inotify %#x: watch %u on %s became %d: the file is watched twice",
				object->id, wd->wd, wd->f_handle->path ?: "a file handle", got);
		if (inotify_rm_watch(inotify, got))
			return log_errno("inotify %#x: remove watch %d", object->id, got);
	}
}

/* Removing watches and restoring other files put events there that the task must not see. */
static int drop_events(int inotify, const struct file_object *object)
{
	char buf[4096];
	int bytes;

	while (!ioctl(inotify, FIONREAD, &bytes) && bytes > 0) {
		if (read(inotify, buf, sizeof(buf)) < 0)
			return log_errno("inotify %#x: drop events", object->id);
	}
	return 0;
}

static int inotify_add_watches(struct restore *restore, struct file_object *object,
			       const struct task *task, int fd, bool first)
{
	const InotifyFileEntry *ify = object->entry->ify;

	if (!first)
		return 0;
	for (size_t i = 0; i < ify->n_wd; i++) {
		int ret = add_watch(fd, object, ify->wd[i]);

		if (ret)
			return ret;
	}
	return drop_events(fd, object);
}

static int inotify_open(struct restore *restore, struct file_object *object, int *fd)
{
	scoped_fd int inotify = inotify_init1(IN_CLOEXEC);

	if (inotify < 0)
		return log_errno("inotify %#x: create", object->id);
	if (own_fd_set_flags(inotify, object->entry->ify->flags))
		return log_errno("inotify %#x: set flags %#x", object->id,
				 object->entry->ify->flags);
	/* In flight in a socket's queue: no task will do it. */
	if (!file_object_is_held(object)) {
		int ret = inotify_add_watches(restore, object, restore->tree.root, inotify, true);

		if (ret)
			return ret;
	}
	*fd = take_fd(&inotify);
	return 0;
}

static const FownEntry *inotify_fown(const struct file_object *object)
{
	return object->entry->ify->fown;
}

const struct kind_ops inotify_kind = {
	.name = "inotify",
	.type = FD_TYPES__INOTIFY,
	.detect = inotify_detect,
	.dump = inotify_dump,
	.collect = inotify_collect,
	.fown = inotify_fown,
	.open = inotify_open,
	.post_open = inotify_add_watches,
};
