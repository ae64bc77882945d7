// SPDX-License-Identifier: GPL-2.0
#include "kinds/fown.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/log.h"

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif

FownEntry *fown_none(void)
{
	return message_new(FownEntry, fown_entry);
}

/* The image pid of a thread or process of the tree; 0 if it is not in it. */
static pid_t image_tid(const struct tree *tree, pid_t host_tid)
{
	const struct task *task;

	tree_for_each (task, tree) {
		if (task->host_pid == host_tid)
			return task->pid;
		for (size_t i = 0; i < task->nr_threads; i++) {
			if (task->threads[i].host_tid == host_tid)
				return task->threads[i].tid;
		}
	}
	return 0;
}

static pid_t host_tid(const struct tree *tree, pid_t tid)
{
	const struct task *task;

	tree_for_each (task, tree) {
		if (task->pid == tid)
			return task->host_pid;
		for (size_t i = 0; i < task->nr_threads; i++) {
			if (task->threads[i].tid == tid)
				return task->threads[i].host_tid;
		}
	}
	return 0;
}

static pid_t image_pgid(const struct tree *tree, pid_t host_pgid)
{
	const struct task *task;

	tree_for_each (task, tree) {
		if (task->host_pid > 0 && getpgid(task->host_pid) == host_pgid)
			return task->pgid;
	}
	return 0;
}

static pid_t host_pgid(const struct tree *tree, pid_t pgid)
{
	const struct task *task;

	tree_for_each (task, tree) {
		if (task->pgid == pgid && task->host_pid > 0)
			return getpgid(task->host_pid);
	}
	return 0;
}

/* Who owns the file, in image pids. pid 0 is "nobody": F_SETSIG may still have been used. */
static int owner_dump(struct dump *dump, const struct fd_probe *probe, FownEntry *fown)
{
	struct f_owner_ex owner = { 0 };
	uid_t uids[2] = { 0 };

	if (fcntl(probe->fd, F_GETOWN_EX, &owner))
		return log_errno("task %d: fd %d (%s): F_GETOWN_EX", probe->task->pid,
				 probe->number, probe->link);
	if (owner.pid <= 0)
		return 0;
	fown->pid_type = owner.type;
	fown->pid = owner.type == F_OWNER_PGRP ? image_pgid(&dump->tree, owner.pid)
					       : image_tid(&dump->tree, owner.pid);
	if (!fown->pid) {
		log_warn("task %d: fd %d (%s): its owner %d is not dumped: left out",
			 probe->task->pid, probe->number, probe->link, owner.pid);
		fown->pid_type = 0;
		return 0;
	}
	if (fcntl(probe->fd, F_GETOWNER_UIDS, uids))
		return log_errno("task %d: fd %d (%s): F_GETOWNER_UIDS", probe->task->pid,
				 probe->number, probe->link);
	fown->uid = uids[0];
	fown->euid = uids[1];
	return 0;
}

int fown_dump(struct dump *dump, const struct fd_probe *probe, FownEntry **out)
{
	FownEntry *fown = fown_none();
	int signum, ret;

	if (!fown)
		return log_ret(-ENOMEM, "task %d: fd %d", probe->task->pid, probe->number);
	*out = fown;
	/* An O_PATH description knows no owner, and a file met by path has none worth keeping. */
	if (probe->number < 0 || (probe->flags & O_PATH))
		return 0;
	signum = fcntl(probe->fd, F_GETSIG);
	if (signum > 0)
		fown->signum = signum;
	ret = owner_dump(dump, probe, fown);
	if (ret) {
		fown_entry__free_unpacked(fown, NULL);
		*out = NULL;
	}
	return ret;
}

/* The kernel keeps who called F_SETOWN, and checks it when it sends the signal. Raw calls: only
 * this thread changes, for a moment. */
static int set_owner_as(int fd, const struct f_owner_ex *owner, uid_t uid, uid_t euid)
{
	uid_t real = getuid(), effective = geteuid();
	bool is_same = uid == real && euid == effective;
	int err = 0;

	if (!is_same && syscall(SYS_setresuid, uid, euid, -1))
		return -errno;
	if (fcntl(fd, F_SETOWN_EX, owner))
		err = -errno;
	if (!is_same && syscall(SYS_setresuid, real, effective, -1))
		return -errno;
	return err;
}

int fown_restore(struct restore *restore, int fd, const FownEntry *fown)
{
	struct f_owner_ex owner = { .type = fown->pid_type };
	int ret;

	if (fown->signum) {
		if (fcntl(fd, F_SETSIG, (int)fown->signum))
			return log_errno("F_SETSIG %u", fown->signum);
	}
	if (!fown->pid)
		return 0;
	owner.pid = owner.type == F_OWNER_PGRP ? host_pgid(&restore->tree, fown->pid)
					       : host_tid(&restore->tree, fown->pid);
	if (owner.pid <= 0) {
		log_warn("file owner %u is not restored here: SIGIO has no receiver", fown->pid);
		return 0;
	}
	ret = set_owner_as(fd, &owner, fown->uid, fown->euid);
	if (ret)
		return log_ret(ret, "F_SETOWN_EX %d as uid %u", owner.pid, fown->uid);
	return 0;
}
