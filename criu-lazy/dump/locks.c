// SPDX-License-Identifier: GPL-2.0
/*
 * File locks held by the tree. /proc/locks tells cheaply whether there may be
 * any; which descriptor holds them is told by the "lock:" lines of fdinfo.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "dump/lock_lines.h"
#include "dump/phases.h"
#include "file-lock.pb-c.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

static bool is_in_tree(const struct tree *tree, pid_t host_pid)
{
	struct task *task;

	tree_for_each (task, tree) {
		if (task->host_pid == host_pid)
			return true;
	}
	return false;
}

/* An open file description with a lock may have been inherited from whoever took it, who may be
 * gone: only a living outsider is surely no matter of ours. */
static bool may_be_ours(const struct tree *tree, const struct lock_line *lock)
{
	if (lock->pid <= 0 || is_in_tree(tree, lock->pid))
		return true;
	return lock->kind != LOCK_KIND_POSIX && kill(lock->pid, 0) && errno == ESRCH;
}

static int any_candidate(const struct dump *dump, struct text *text, bool *out)
{
	const char *line;
	int ret = text_read_at(-1, "/proc/locks", text);

	*out = false;
	if (ret)
		return log_ret(ret, "/proc/locks");
	for (line = text->data; line && *line;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		struct lock_line lock;

		ret = lock_line_parse(line, &lock);
		if (ret)
			return log_ret(ret, "/proc/locks: %.60s", line);
		if (may_be_ours(&dump->tree, &lock)) {
			*out = true;
			return 0;
		}
	}
	return 0;
}

/* img NULL: locks are refused. */
static int dump_lock(const struct task *task, int fd, const struct lock_line *lock,
		     struct image *img)
{
	FileLockEntry entry = FILE_LOCK_ENTRY__INIT;

	if (lock->kind == LOCK_KIND_LEASE)
		return log_ret(-EOPNOTSUPP, "task %d: fd %d: holds a lease, which is not supported",
			       task->pid, fd);
	if (!img)
		return log_ret(-EOPNOTSUPP,
			       "task %d: fd %d: holds a file lock (inode %llu): use --file-locks",
			       task->pid, fd, (unsigned long long)lock->inode);
	entry.flag = lock->kind;
	entry.type = lock->type;
	entry.pid = task->pid;
	entry.fd = fd;
	entry.start = lock->start;
	entry.len = lock->len;
	return image_write(img, &entry.base);
}

static int dump_fd_locks(const struct task *task, int fd, struct text *text, struct image *img)
{
	static const char word[] = "\nlock:";
	char path[32];
	const char *at;
	int ret;

	snprintf(path, sizeof(path), "fdinfo/%d", fd);
	ret = text_read_at(task->dump->proc_fd, path, text);
	if (ret)
		return log_ret(ret, "task %d: fd %d: fdinfo", task->pid, fd);
	for (at = strstr(text->data, word); at && !ret; at = strstr(at, word)) {
		struct lock_line lock;

		at += strlen(word);
		ret = lock_line_parse(at + strspn(at, " \t"), &lock);
		if (ret)
			return log_ret(ret, "task %d: fd %d: lock line", task->pid, fd);
		/* POSIX locks belong to the process that took them, not to whoever has the file. */
		if (lock.is_waiting || (lock.kind == LOCK_KIND_POSIX && lock.pid != task->host_pid))
			continue;
		ret = dump_lock(task, fd, &lock, img);
	}
	return ret;
}

static int dump_task_locks(const struct task *task, struct text *text, struct image *img)
{
	scoped_fd int fd = openat(task->dump->proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scoped_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir)
		return log_errno("task %d: descriptors", task->pid);
	take_fd(&fd);
	while ((entry = readdir(dir))) {
		int ret;

		if (entry->d_name[0] == '.')
			continue;
		ret = dump_fd_locks(task, atoi(entry->d_name), text, img);
		if (ret)
			return ret;
	}
	return 0;
}

int locks_dump(struct dump *dump)
{
	scoped_text struct text text = { 0 };
	scoped_image struct image *img = NULL;
	struct task *task;
	bool any;
	int ret = any_candidate(dump, &text, &any);

	if (ret || !any)
		return ret;
	if (dump->opts->file_locks) {
		ret = image_create(dump->images, IMG_FILE_LOCKS, 0, &img);
		if (ret)
			return ret;
	}
	tree_for_each (task, &dump->tree) {
		if (task->state == TASK_DEAD)
			continue;
		ret = dump_task_locks(task, &text, img);
		if (ret)
			return ret;
	}
	return img ? image_close(&img) : 0;
}
