// SPDX-License-Identifier: GPL-2.0
/* Letting a stopped tree go. */
#include <compel.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dump/dump.h"
#include "tree/collect.h"
#include "util/log.h"

static bool is_held(const struct task *task)
{
	return task->nr_threads && !task->dump->is_released;
}

static void send_signal(const struct task *task, int sig)
{
	if (syscall(SYS_pidfd_send_signal, task->dump->pidfd, sig, NULL, 0) && errno != ESRCH)
		log_warn("task %d: cannot send signal %d: errno %d", task->host_pid, sig, errno);
}

/* Threads we trace are reaped by us; the leader, after all others, then by its parent. */
static void reap(struct task *task)
{
	for (size_t i = task->nr_threads; i-- > 0;) {
		int status;

		while (waitpid(task->threads[i].host_tid, &status, __WALL) >= 0 &&
		       !WIFEXITED(status) && !WIFSIGNALED(status))
			;
	}
}

static void detach(struct task *task)
{
	for (size_t i = 0; i < task->nr_threads; i++)
		compel_detach(task->threads[i].host_tid);
}

static void release_task(struct task *task, enum final_state state)
{
	task->dump->is_released = true;
	switch (state) {
	case FINAL_KILL:
		reap(task);
		break;
	case FINAL_STOPPED:
		/* The stop is taken on the way out of the kernel: no user code runs. */
		send_signal(task, SIGSTOP);
		/* fallthrough */
	case FINAL_RUNNING:
		detach(task);
		break;
	}
}

void tree_release(struct tree *tree, enum final_state state)
{
	struct task *task;

	if (state == FINAL_KILL) {
		tree_for_each (task, tree) {
			if (is_held(task))
				send_signal(task, SIGKILL);
		}
	}
	tree_for_each (task, tree) {
		if (is_held(task))
			release_task(task, state);
	}
}

static bool has_pids(const struct tree *tree)
{
	const struct task *task;

	tree_for_each (task, tree) {
		/* Zombies count. */
		if (!kill(task->host_pid, 0))
			return true;
	}
	return false;
}

void tree_wait_reaped(const struct tree *tree, unsigned int timeout_ms)
{
	const struct timespec step = { .tv_nsec = 1000 * 1000 };

	while (has_pids(tree)) {
		if (!timeout_ms--) {
			log_info("tree: its parent does not reap it, its pids stay in use");
			return;
		}
		nanosleep(&step, NULL);
	}
}
