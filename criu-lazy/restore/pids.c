// SPDX-License-Identifier: GPL-2.0
/* Are the pids of the images free? */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel/proc_task.h"
#include "restore/restore_task.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

/* How long whoever has to wait for the dead may take: of a tree that was just dumped. */
enum { PATIENCE_MS = 3000 };

static bool is_taken(pid_t pid)
{
	char path[32];
	struct stat st;

	if (syscall(SYS_kill, pid, 0) < 0 && errno == ESRCH)
		return false;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	return stat(path, &st) == 0 || errno != ENOENT;
}

static bool is_dead(pid_t pid)
{
	scoped_text struct text text = { 0 };
	struct proc_stat stat;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return !text_read_at(AT_FDCWD, path, &text) && !proc_stat_parse(text.data, &stat) &&
	       (stat.state == 'Z' || stat.state == 'X');
}

static int check_pid(const struct task *task, pid_t pid, int *patience_ms)
{
	const struct timespec step = { .tv_nsec = 1000000 };

	while (is_taken(pid)) {
		if (!*patience_ms || !is_dead(pid))
			return log_ret(-EBUSY,
				       "task %d: pid %d is in use; end that process or restore in "
				       "a pid namespace",
				       task->pid, pid);
		nanosleep(&step, NULL);
		--*patience_ms;
	}
	return 0;
}

int pids_check(struct restore *restore)
{
	struct task *task;
	int patience_ms = PATIENCE_MS, first = 0;

	tree_for_each (task, &restore->tree) {
		for (size_t i = 0; i < task->nr_threads; i++) {
			int ret = check_pid(task, task->threads[i].tid, &patience_ms);

			first = first ? first : ret;
		}
	}
	return first;
}
