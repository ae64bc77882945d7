// SPDX-License-Identifier: GPL-2.0
/* The tree of processes: who forks whom, and how all of it is taken back. */
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kinds/kind.h"
#include "mem/mem.h"
#include "restore/core_flag.h"
#include "restore/inherit.h"
#include "restore/restore_task.h"
#include "restore/sessions.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

static void __attribute__((noreturn)) task_life(struct restore *restore, struct task *task);

static int fork_task(struct restore *restore, struct task *task, uint64_t flags)
{
	int32_t set_tid = task->pid;
	struct clone_args args = {
		.flags = flags,
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
		.set_tid = (uintptr_t)&set_tid,
		.set_tid_size = 1,
	};
	long pid = syscall(SYS_clone3, &args, CLONE_ARGS_SIZE_VER1);

	if (pid < 0 && errno == EEXIST)
		return log_ret(-EBUSY, "task %d: its pid is in use", task->pid);
	if (pid < 0)
		return log_errno("task %d: fork", task->pid);
	__atomic_store_n(&restore->shared->tasks[task->restore->index].host_pid,
			 pid ? (int32_t)pid : set_tid, __ATOMIC_SEQ_CST);
	if (!pid)
		task_life(restore, task);
	return 0;
}

/* First of all those that are born as the task was; then those that are born in its session. */
static int fork_brothers(struct restore *restore, struct task *task, bool is_session)
{
	struct task *brother;

	if (!task->parent)
		return 0;
	task_for_each_child (brother, task->parent) {
		int ret;

		if (brother->restore->creator != task ||
		    (brother->restore->session_leader == task) != is_session)
			continue;
		ret = fork_task(restore, brother, brother->restore->clone_flags);
		if (ret)
			return ret;
	}
	return 0;
}

static int fork_children(struct restore *restore, struct task *task, bool is_early)
{
	struct task *child;

	task_for_each_child (child, task) {
		int ret;

		if (child->restore->is_born_early != is_early || child->restore->creator != task)
			continue;
		ret = fork_task(restore, child, child->restore->clone_flags);
		if (ret)
			return ret;
	}
	return 0;
}

/* Ends as the zombie ended. The parent is not asked: it has SIGCHLD blocked and waits for us. */
static void __attribute__((noreturn)) become_zombie(const struct task *task)
{
	int signal = task->exit_code & 0x7f;

	if (task->restore->is_helper)
		_exit(0);
	prctl(PR_SET_NAME, task->restore->cores[0]->tc->comm);
	if (!signal)
		_exit(task->exit_code >> 8 & 0xff);
	if (task->exit_code & 0x80)
		core_flag_prepare();
	else
		core_flag_clear();
	if (signal != SIGKILL && signal != SIGSTOP) {
		struct sigaction action = { .sa_handler = SIG_DFL };
		sigset_t set;

		sigaction(signal, &action, NULL);
		sigemptyset(&set);
		sigaddset(&set, signal);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
	}
	syscall(SYS_kill, syscall(SYS_getpid), signal);
	for (;;)
		pause();
}

static int wait_zombies(const struct task *task)
{
	const struct task *child;

	task_for_each_child (child, task) {
		siginfo_t info;

		if (child->state != TASK_DEAD)
			continue;
		if (waitid(P_PID, child->pid, &info,
			   WEXITED | (child->restore->is_helper ? 0 : WNOWAIT)) < 0)
			return log_errno("task %d: wait for its dead child %d", task->pid,
					 child->pid);
	}
	return 0;
}

static int live(struct restore *restore, struct task *task)
{
	int ret = 0;

	if (!task->parent)
		ret = files_open_all(restore);
	if (!ret && !task->parent)
		ret = shmem_open_all(restore);
	if (!ret)
		ret = fork_brothers(restore, task, false);
	if (!ret)
		ret = inherit_take(restore, task);
	if (!ret)
		ret = fork_children(restore, task, true);
	if (!ret)
		ret = sessions_lead(restore, task);
	if (!ret)
		ret = fork_brothers(restore, task, true);
	if (!ret)
		ret = fork_children(restore, task, false);
	if (!ret)
		ret = shared_arrive(restore->shared, STAGE_FORKED);
	if (!ret)
		ret = sessions_join(restore, task);
	if (!ret)
		ret = shared_arrive(restore->shared, STAGE_GROUPED);
	if (ret)
		return ret;
	if (task->state == TASK_DEAD)
		become_zombie(task);
	ret = wait_zombies(task);
	return ret ? ret : task_enter(restore, task);
}

static void __attribute__((noreturn)) task_life(struct restore *restore, struct task *task)
{
	int ret = live(restore, task);

	if (ret && ret != -ECANCELED)
		log_debug("task %d: gives up", task->pid);
	shared_fail(restore->shared);
	_exit(1);
}

int fork_root(struct restore *restore)
{
	return fork_task(restore, restore->tree.root,
			 restore->opts->restore_sibling ? CLONE_PARENT : 0);
}

static bool is_zombie(pid_t pid)
{
	scoped_text struct text text = { 0 };
	const char *state;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	state = text_read_at(AT_FDCWD, path, &text) ? NULL : strrchr(text.data, ')');
	return state && (!strncmp(state, ") Z", 3) || !strncmp(state, ") X", 3));
}

/* A sibling (--restore-sibling) is our parent's to wait for, who waits for us first. */
static bool is_gone(const struct restore *restore, pid_t pid)
{
	if (syscall(SYS_kill, pid, 0) < 0)
		return errno == ESRCH;
	return restore->opts->restore_sibling && is_zombie(pid);
}

/* Orphans come to us (PR_SET_CHILD_SUBREAPER), so that they can be waited for. */
void fork_kill_all(struct restore *restore)
{
	const struct timespec step = { .tv_nsec = 1000 * 1000 };
	bool is_left = restore->shared;

	if (restore->shared)
		shared_fail(restore->shared); /* whoever is just being born leaves by itself */
	for (int tries = 0; is_left && tries < 10000; tries++) {
		is_left = false;
		for (uint32_t i = 0; i < restore->shared->nr_tasks; i++) {
			int32_t *slot = &restore->shared->tasks[i].host_pid;
			pid_t pid = __atomic_load_n(slot, __ATOMIC_SEQ_CST);

			if (!pid)
				continue;
			syscall(SYS_kill, pid, SIGKILL);
			/* Seized threads as well: a traced one is not reaped without us. */
			while (waitpid(-1, NULL, __WALL | WNOHANG) > 0)
				;
			if (is_gone(restore, pid))
				__atomic_store_n(slot, 0, __ATOMIC_SEQ_CST);
			else
				is_left = true;
		}
		if (is_left)
			nanosleep(&step, NULL);
	}
	if (is_left)
		log_warn("restore: some processes of the failed restore are still ending");
}
