// SPDX-License-Identifier: GPL-2.0
/*
 * pidfd_open(2) on a task of the tree. It can only be opened when the tree exists, so it is late.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
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
	if (pid <= 0)
		return log_ret(-EOPNOTSUPP, "task %d: fd %d: pidfd of a process that is dead",
			       probe->task->pid, probe->number);
	if (probe->flags & PIDFD_THREAD)
		return log_ret(-EOPNOTSUPP, "task %d: fd %d: pidfd of a thread (%d)",
			       probe->task->pid, probe->number, innermost);
	if (!tree_find(&dump->tree, innermost))
		return log_ret(-EOPNOTSUPP,
			       "task %d: fd %d: pidfd of process %d, which is outside the tree",
			       probe->task->pid, probe->number, innermost);
	pidfd = message_new(PidfdEntry, pidfd_entry);
	if (!pidfd)
		return -ENOMEM;
	entry->pidfd = pidfd;
	pidfd->id = entry->id;
	pidfd->ino = probe->st.st_ino;
	pidfd->flags = probe->flags;
	pidfd->nspid = innermost;
	return fown_dump(dump, probe, &pidfd->fown);
}

static int pidfd_collect(struct restore *restore, struct file_object *object)
{
	const PidfdEntry *pidfd = object->entry->pidfd;

	if (pidfd->nspid <= 0 || !tree_find(&restore->tree, pidfd->nspid))
		return log_ret(-EOPNOTSUPP, "pidfd %#x: process %d is not in the images",
			       object->id, pidfd->nspid);
	return 0;
}

static bool pidfd_is_late(struct restore *restore, const struct file_object *object)
{
	return true;
}

static int pidfd_open_late(struct restore *restore, struct file_object *object, int *fd)
{
	const PidfdEntry *pidfd = object->entry->pidfd;

	*fd = syscall(SYS_pidfd_open, pidfd->nspid, pidfd->flags & O_NONBLOCK);
	if (*fd < 0)
		return log_errno("pidfd %#x: open process %d", object->id, pidfd->nspid);
	return 0;
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
	.open = pidfd_open_late,
};
