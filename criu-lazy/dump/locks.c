// SPDX-License-Identifier: GPL-2.0
/*
 * File locks held by the tree, from the "lock:" lines of each descriptor's
 * fdinfo. /proc/locks has them too, but reading it waits for an RCU grace
 * period, milliseconds (fs/locks.c, locks_start()).
 */
#include <errno.h>
#include <string.h>

#include "dump/lock_lines.h"

#include "dump/phases.h"
#include "file-lock.pb-c.h"
#include "task/facts.h"
#include "util/log.h"

static int write_lock(struct dump *dump, const struct task *task, int fd,
		      const struct lock_line *lock)
{
	FileLockEntry entry = FILE_LOCK_ENTRY__INIT;
	int ret;

	if (!dump->locks_img) {
		ret = image_create(dump->images, IMG_FILE_LOCKS, 0, &dump->locks_img);
		if (ret)
			return ret;
	}
	entry.flag = lock->kind;
	entry.type = lock->type;
	entry.pid = task->pid;
	entry.fd = fd;
	entry.start = lock->start;
	entry.len = lock->len;
	return image_write(dump->locks_img, &entry.base);
}

static int dump_lock(struct dump *dump, const struct task *task, int fd,
		     const struct lock_line *lock)
{
	if (lock->kind == LOCK_KIND_OTHER || lock->is_breaking)
		return log_ret(-EOPNOTSUPP,
			       "task %d: fd %d: holds a lease that is being broken or is no "
			       "process's own, which is not supported",
			       task->pid, fd);
	if (!dump->opts->file_locks)
		return log_ret(-EOPNOTSUPP,
			       "task %d: fd %d: holds a file lock (inode %llu): use --file-locks",
			       task->pid, fd, (unsigned long long)lock->inode);
	return write_lock(dump, task, fd, lock);
}

/* Who took it: the task, or another one of those that share its descriptors. */
static const struct task *find_owner(const struct dump *dump, const struct task *task,
				     pid_t host_pid)
{
	const struct task *other;

	tree_for_each (other, &dump->tree) {
		if (other->host_pid == host_pid)
			return other->state != TASK_DEAD && task_facts(other)->ids.files ==
								    task_facts(task)->ids.files
				       ? other
				       : NULL;
	}
	return NULL;
}

int locks_dump_descriptor(struct dump *dump, const struct task *task, int fd, const char *fdinfo,
			  bool is_new)
{
	static const char word[] = "\nlock:";
	const char *at;

	for (at = strstr(fdinfo, word); at; at = strstr(at, word)) {
		const struct task *owner;
		struct lock_line lock;
		int ret;

		at += strlen(word);
		ret = lock_line_parse(at + strspn(at, " \t"), &lock);
		if (ret)
			return log_ret(ret, "task %d: fd %d: lock line", task->pid, fd);
		/* POSIX locks belong to the process that took them, the others to the open file
		 * description, which tasks may share. */
		if (lock.is_waiting || (lock.kind != LOCK_KIND_POSIX && !is_new))
			continue;
		owner = lock.kind == LOCK_KIND_POSIX ? find_owner(dump, task, lock.pid) : task;
		if (!owner)
			continue;
		ret = dump_lock(dump, owner, fd, &lock);
		if (ret)
			return ret;
	}
	return 0;
}

int locks_dump_end(struct dump *dump)
{
	return dump->locks_img ? image_close(&dump->locks_img) : 0;
}
