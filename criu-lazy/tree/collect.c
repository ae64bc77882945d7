// SPDX-License-Identifier: GPL-2.0
/*
 * A pass looks at every task found so far: new threads in /proc/PID/task, new
 * children in /proc/PID/task/TID/children. New threads are all asked to stop
 * before the first is waited for. A task whose threads are all stopped makes no
 * new ones, so passes are repeated until one finds nothing.
 */
#include "tree/collect.h"

#include <compel.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dump/dump.h"
#include "kernel/proc_task.h"
#include "tree/freezer.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

enum { PASSES_MAX = 1000 };

struct collect {
	struct tree *tree;
	const struct collect_params *params;
	struct text text;
	struct timespec deadline;
	bool waits;   /* seized threads are waited for in the pass that found them */
	size_t found; /* in this pass */
};

static int check_time(const struct collect *collect)
{
	struct timespec now;

	if (*collect->params->stopped)
		return log_ret(-EINTR, "interrupted by a signal");
	if (!collect->params->timeout)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec > collect->deadline.tv_sec ||
	    (now.tv_sec == collect->deadline.tv_sec && now.tv_nsec > collect->deadline.tv_nsec))
		return log_ret(-ETIMEDOUT, "task %d: its tree did not stop within %u s (--timeout)",
			       collect->params->root, collect->params->timeout);
	return 0;
}

/* ---- tasks -------------------------------------------------------------- */

static struct task *find_host(const struct tree *tree, pid_t host_pid)
{
	struct task *task;

	tree_for_each (task, tree) {
		if (task->host_pid == host_pid)
			return task;
	}
	return NULL;
}

static int open_task(struct dump_task *dump, pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	dump->proc_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dump->proc_fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	dump->pidfd = syscall(SYS_pidfd_open, pid, 0);
	return dump->pidfd < 0 ? -errno : 0;
}

static void free_dump_task(struct dump_task *dump)
{
	if (!dump)
		return;
	if (dump->pidfd >= 0)
		close(dump->pidfd);
	if (dump->proc_fd >= 0)
		close(dump->proc_fd);
	free(dump);
}

static void scope_dump_task(struct dump_task *const *dump)
{
	free_dump_task(*dump);
}

/* -ESRCH, not logged: gone. */
static int read_stat(struct collect *collect, const struct dump_task *dump, pid_t pid,
		     struct proc_stat *stat)
{
	int ret = text_read_at(dump->proc_fd, "stat", &collect->text);

	if (!ret)
		ret = proc_stat_parse(collect->text.data, stat);
	if (ret == -ENOENT || ret == -ESRCH)
		return -ESRCH;
	return ret ? log_ret(ret, "task %d: /proc/%d/stat", pid, pid) : 0;
}

/* -ESRCH, not logged: it is gone, which is ordinary for a child. */
static int add_task(struct collect *collect, struct task *parent, pid_t pid)
{
	__attribute__((cleanup(scope_dump_task))) struct dump_task *dump = calloc(1, sizeof(*dump));
	struct proc_stat stat;
	struct task *task;
	int ret;

	if (!dump)
		return log_ret(-ENOMEM, "task %d", pid);
	dump->proc_fd = dump->pidfd = -1;
	ret = open_task(dump, pid);
	if (ret == -ESRCH)
		return ret;
	if (ret)
		return log_ret(ret, "task %d: open", pid);
	ret = read_stat(collect, dump, pid, &stat);
	if (ret)
		return ret;
	if (pid == getpid())
		return log_ret(-EINVAL, "task %d: we are in the tree ourselves", pid);
	if (stat.flags & PROC_PF_KTHREAD)
		return log_ret(-EINVAL, "task %d: is a kernel thread", pid);

	task = tree_add(collect->tree, parent, pid);
	if (!task)
		return log_ret(-ENOMEM, "task %d", pid);
	task->host_pid = pid;
	task->dump = take_ptr(dump);
	collect->found++;
	return 0;
}

/* ---- threads ------------------------------------------------------------ */

static bool has_thread(const struct task *task, pid_t tid)
{
	for (size_t i = 0; i < task->nr_threads; i++) {
		if (task->threads[i].host_tid == tid)
			return true;
	}
	return false;
}

/* The leader comes first. Begun threads are in the array, so that they are let go. */
static int add_thread(struct task *task, pid_t tid)
{
	struct thread *threads;
	int ret;

	if ((task->nr_threads & (task->nr_threads - 1)) == 0) { /* full at powers of two */
		size_t cap = task->nr_threads ? task->nr_threads * 2 : 1;

		threads = realloc(task->threads, cap * sizeof(*threads));
		if (!threads)
			return log_ret(-ENOMEM, "task %d: threads", task->host_pid);
		task->threads = threads;
	}
	ret = compel_seize_begin(tid);
	if (ret == -ESRCH && tid == task->host_pid)
		return -ESRCH;
	if (ret)
		return ret == -ESRCH ? 0 : ret;
	task->threads[task->nr_threads++] = (struct thread){ .host_tid = tid };
	return 0;
}

static int add_threads(struct collect *collect, struct task *task)
{
	scoped_fd int fd = openat(task->dump->proc_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scoped_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	size_t before = task->nr_threads;
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? -ESRCH : log_errno("task %d: threads", task->host_pid);
	take_fd(&fd);
	while ((entry = readdir(dir))) {
		pid_t tid = atoi(entry->d_name);
		int ret;

		if (tid <= 0 || has_thread(task, tid))
			continue;
		ret = add_thread(task, tid);
		if (ret)
			return ret;
	}
	collect->found += task->nr_threads - before;
	return 0;
}

static void drop_thread(struct task *task, size_t index)
{
	memmove(task->threads + index, task->threads + index + 1,
		(task->nr_threads - index - 1) * sizeof(*task->threads));
	task->nr_threads--;
}

/* Waits for threads from `first` on; those that ended in the meantime are dropped. */
static int wait_threads(struct collect *collect, struct task *task, size_t first)
{
	for (size_t i = first; i < task->nr_threads;) {
		struct compel_stop stop = { .state = COMPEL_ALIVE };
		int ret = compel_seize_wait(task->threads[i].host_tid, &stop);

		if (ret && ret != -ESRCH)
			return ret;
		if (ret == -ESRCH || stop.state == COMPEL_ZOMBIE) {
			if (task->threads[i].host_tid == task->host_pid)
				return -ESRCH;
			drop_thread(task, i);
			continue;
		}
		if (i == 0 && stop.state == COMPEL_STOPPED) {
			task->state = TASK_STOPPED;
			task->stop_signal = stop.stop_signal;
		}
		i++;
		ret = check_time(collect);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- passes ------------------------------------------------------------- */

/* Its leader cannot be seized: it is a zombie, or altogether gone. */
static int leader_is_gone(struct collect *collect, struct task *task)
{
	struct proc_stat stat;
	int ret = read_stat(collect, task->dump, task->host_pid, &stat);

	if (ret && ret != -ESRCH)
		return ret;
	if (ret == 0 && stat.state == 'Z') {
		/* It may have been counted before it ended: alone it is an ordinary zombie. */
		if (task->nr_threads == 1 && task->threads[0].host_tid == task->host_pid)
			drop_thread(task, 0);
		if (task->nr_threads)
			return log_ret(
				-EOPNOTSUPP,
				"task %d: its first thread has ended while others run, which "
				"is not supported",
				task->host_pid);
		task->state = TASK_DEAD;
		return 0;
	}
	return -ESRCH;
}

static int seize_task(struct collect *collect, struct task *task)
{
	size_t before = task->nr_threads;
	int ret;

	if (task->state == TASK_DEAD)
		return 0;
	ret = add_threads(collect, task);
	if (!ret && collect->waits)
		ret = wait_threads(collect, task, before);
	if (ret == -ESRCH)
		ret = leader_is_gone(collect, task);
	return ret;
}

static int add_children_of(struct collect *collect, struct task *task, const struct thread *thread)
{
	char path[64];
	char *at, *end;
	int ret;

	snprintf(path, sizeof(path), "task/%d/children", thread->host_tid);
	ret = text_read_at(task->dump->proc_fd, path, &collect->text);
	if (ret)
		return log_ret(ret, "task %d: /proc/%d/%s (CONFIG_PROC_CHILDREN is needed)",
			       task->host_pid, task->host_pid, path);
	if (!collect->text.len)
		return 0;
	/* add_task() reads into collect->text itself. */
	scoped_free char *pids = strdup(collect->text.data);

	if (!pids)
		return log_ret(-ENOMEM, "task %d: children", task->host_pid);
	for (at = pids;; at = end) {
		pid_t pid = strtol(at, &end, 10);

		if (end == at)
			return 0;
		if (find_host(collect->tree, pid))
			continue;
		ret = add_task(collect, task, pid);
		if (ret && ret != -ESRCH)
			return ret;
	}
}

static int add_children(struct collect *collect, struct task *task)
{
	for (size_t i = 0; i < task->nr_threads; i++) {
		int ret = add_children_of(collect, task, &task->threads[i]);

		if (ret)
			return ret;
	}
	return 0;
}

static void drop_task(struct tree *tree, struct task *task)
{
	TAILQ_REMOVE(&tree->tasks, task, link);
	if (task->parent)
		TAILQ_REMOVE(&task->parent->children, task, siblings);
	else
		tree->root = NULL;
	free_dump_task(task->dump);
	free(task->threads);
	free(task);
}

/* The list grows at its end while it is walked, so one pass goes down the whole tree. */
static int pass(struct collect *collect)
{
	struct task *task, *next;

	collect->found = 0;
	for (task = TAILQ_FIRST(&collect->tree->tasks); task; task = next) {
		int ret = seize_task(collect, task);

		if (ret == -ESRCH) {
			next = TAILQ_NEXT(task, link);
			if (!task->parent || !TAILQ_EMPTY(&task->children))
				return log_ret(-ESRCH, "task %d: is gone", task->host_pid);
			drop_task(collect->tree, task);
			continue;
		}
		if (!ret)
			ret = add_children(collect, task);
		if (!ret)
			ret = check_time(collect);
		if (ret)
			return ret;
		next = TAILQ_NEXT(task, link);
	}
	return 0;
}

static int pass_until_stable(struct collect *collect)
{
	for (int i = 0; i < PASSES_MAX; i++) {
		int ret = pass(collect);

		if (ret || !collect->found)
			return ret;
	}
	return log_ret(-EBUSY, "task %d: new tasks appear faster than they can be stopped",
		       collect->params->root);
}

/* The frozen tree is seized as a whole, thawed, and its threads reach their stops. */
static int collect_frozen(struct collect *collect)
{
	const struct collect_params *params = collect->params;
	struct task *task;
	int ret = freezer_freeze(params->freezer, params->freeze_cgroup, params->timeout,
				 params->stopped);

	if (ret)
		return ret;
	collect->waits = false;
	ret = pass_until_stable(collect);
	collect->waits = true;
	if (!ret)
		ret = freezer_thaw(params->freezer);
	if (ret)
		return ret;
	tree_for_each (task, collect->tree) {
		if (task->state == TASK_DEAD)
			continue;
		ret = wait_threads(collect, task, 0);
		if (ret == -ESRCH)
			ret = leader_is_gone(collect, task);
		if (ret)
			return log_ret(ret, "task %d: ended while it was seized", task->host_pid);
	}
	return 0;
}

/* We would wait for ourselves. */
static int refuse_ancestors(struct collect *collect)
{
	struct proc_stat stat;
	pid_t pid = getpid();
	char path[32];

	while (pid > 0) {
		int ret;

		if (pid == collect->params->root)
			return log_ret(-EINVAL, "task %d: the dumper (%d) is in this tree itself",
				       pid, getpid());
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		ret = text_read_at(AT_FDCWD, path, &collect->text);
		if (!ret)
			ret = proc_stat_parse(collect->text.data, &stat);
		if (ret)
			return ret == -ENOENT || ret == -ESRCH ? 0 : log_ret(ret, "%s", path);
		pid = stat.ppid;
	}
	return 0;
}

static int collect_run(struct collect *collect)
{
	int ret = refuse_ancestors(collect);

	if (ret)
		return ret;
	ret = add_task(collect, NULL, collect->params->root);
	if (ret == -ESRCH)
		return log_ret(ret, "task %d: there is no such process", collect->params->root);
	if (ret)
		return ret;
	if (collect->params->freeze_cgroup) {
		ret = collect_frozen(collect);
		if (ret)
			return ret;
	}
	ret = pass_until_stable(collect);
	if (!ret && collect->tree->root->state == TASK_DEAD)
		return log_ret(-EINVAL, "task %d: is a zombie", collect->params->root);
	return ret;
}

int tree_collect(struct tree *tree, const struct collect_params *params)
{
	struct collect collect = { .tree = tree, .params = params, .waits = true };
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &collect.deadline);
	collect.deadline.tv_sec += params->timeout;
	ret = collect_run(&collect);
	text_free(&collect.text);
	return ret;
}

void tree_collect_free(struct tree *tree)
{
	struct task *task;

	tree_for_each (task, tree) {
		free_dump_task(task->dump);
		task->dump = NULL;
	}
}
