// SPDX-License-Identifier: GPL-2.0
/*
 * pidfd_open(2) on a task of the tree. It can only be opened when the tree exists, so it is late.
 * One of a process that is gone is opened in the root task, on a child that dies at once; pidfds of
 * one process have one inode number (Linux 6.9), so these get the same child.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kinds/events/fdinfo.h"
#include "kinds/families.h"
#include "kinds/fown.h"
#include "kinds/kind.h"
#include "util/log.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static bool pidfd_detect(const struct fd_probe *probe)
{
	return !strcmp(probe->link, "anon_inode:[pidfd]") || !strncmp(probe->link, "pidfd:", 6);
}

static int pidfd_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	PidfdEntry *pidfd;
	int32_t pid, innermost;
	int ret = fdinfo_parse_pidfd(probe->fdinfo, &pid, &innermost);

	if (ret)
		return log_ret(ret, "task %d: fd %d: pidfd without a pid in fdinfo",
			       probe->task->pid, probe->number);
	if (pid > 0 && probe->number < 0)
		return log_ret(-EOPNOTSUPP, "task %d: a pidfd is in flight in a socket's queue",
			       probe->task->pid);
	if (probe->flags & PIDFD_THREAD)
		return log_ret(-EOPNOTSUPP, "task %d: fd %d: pidfd of a thread (%d)",
			       probe->task->pid, probe->number, innermost);
	if (pid > 0 && !tree_find(&dump->tree, innermost))
		return log_ret(-EOPNOTSUPP,
			       "task %d: fd %d: pidfd of process %d, which is outside the tree",
			       probe->task->pid, probe->number, innermost);
	pidfd = message_new(PidfdEntry, pidfd_entry);
	if (!pidfd)
		return -ENOMEM;
	entry->pidfd = pidfd;
	pidfd->id = entry->id;
	pidfd->ino = probe->st.st_ino;
	/* What pidfd_open(2) is to be called with: the open flags of any pidfd hold O_RDWR too. */
	pidfd->flags = probe->flags & O_NONBLOCK;
	pidfd->nspid = pid > 0 ? innermost : -1;
	return fown_dump(dump, probe, &pidfd->fown);
}

static bool is_dead(const struct file_object *object)
{
	return object->entry->pidfd->nspid <= 0;
}

static int pidfd_collect(struct restore *restore, struct file_object *object)
{
	const PidfdEntry *pidfd = object->entry->pidfd;

	if (!is_dead(object) && !tree_find(&restore->tree, pidfd->nspid))
		return log_ret(-EOPNOTSUPP, "pidfd %#x: process %d is not in the images",
			       object->id, pidfd->nspid);
	return 0;
}

static bool pidfd_is_late(struct restore *restore, const struct file_object *object)
{
	return !is_dead(object);
}

static int open_on(const struct file_object *object, pid_t pid, int *fd)
{
	*fd = syscall(SYS_pidfd_open, pid, object->entry->pidfd->flags & O_NONBLOCK);
	return *fd < 0 ? log_errno("pidfd %#x: open process %d", object->id, pid) : 0;
}

/* All pidfds of the dead process, while the child that plays it is not reaped. */
static int open_siblings(struct restore *restore, struct file_object *object, pid_t pid, int *fd)
{
	struct file_object *other = NULL;
	int ret = open_on(object, pid, fd);

	while (!ret && (other = file_table_next(restore->files, other))) {
		if (other != object && other->ops == &pidfd_kind && is_dead(other) &&
		    other->master < 0 && other->entry->pidfd->ino == object->entry->pidfd->ino)
			ret = open_on(other, pid, &other->master);
	}
	return ret;
}

static int open_dead(struct restore *restore, struct file_object *object, int *fd)
{
	pid_t pid = fork();
	int ret;

	if (pid < 0)
		return log_errno("pidfd %#x: fork a process to be gone", object->id);
	if (!pid)
		_exit(0);
	ret = open_siblings(restore, object, pid, fd);
	waitpid(pid, NULL, 0);
	return ret;
}

static int pidfd_open_any(struct restore *restore, struct file_object *object, int *fd)
{
	return is_dead(object) ? open_dead(restore, object, fd)
			       : open_on(object, object->entry->pidfd->nspid, fd);
}

static const FownEntry *pidfd_fown(const struct file_object *object)
{
	return object->entry->pidfd->fown;
}

const struct kind_ops pidfd_kind = {
	.name = "pidfd",
	.type = FD_TYPES__PIDFD,
	.detect = pidfd_detect,
	.dump = pidfd_dump,
	.collect = pidfd_collect,
	.is_late = pidfd_is_late,
	.fown = pidfd_fown,
	.open = pidfd_open_any,
};
