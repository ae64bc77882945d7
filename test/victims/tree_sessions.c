// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks whose parent has ended and that are another one's children now, in sessions and groups: of
 * a leader that lives, of one that is gone, of a group whose leader is gone in a session whose
 * leader is gone.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "victim.h"

enum { TASKS = 4 };

static struct shared {
	struct {
		pid_t pid, sid, pgid;
	} tasks[TASKS];
	int count;
} * shared;

static void __attribute__((noreturn)) stay(int slot)
{
	shared->tasks[slot].pid = getpid();
	shared->tasks[slot].sid = getsid(0);
	shared->tasks[slot].pgid = getpgrp();
	__atomic_add_fetch(&shared->count, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

/* Ends, when the child stays; it is the root's then. */
static void bear(int slot, bool has_group)
{
	int count = shared->count;
	pid_t pid = fork();

	if (!pid) {
		if (has_group)
			setpgid(0, 0);
		stay(slot);
	}
	while (__atomic_load_n(&shared->count, __ATOMIC_SEQ_CST) == count)
		usleep(1000);
}

static void make_tasks(void)
{
	pid_t leader = fork();

	if (!leader) { /* lives on, in its session a task that is none of its children */
		setsid();
		if (!fork()) {
			bear(0, false);
			_exit(0);
		}
		wait(NULL);
		stay(1);
	}
	while (__atomic_load_n(&shared->count, __ATOMIC_SEQ_CST) < 2)
		usleep(1000);
	if (!fork()) { /* a session whose leader is gone */
		setsid();
		if (!fork()) { /* and a group */
			setpgid(0, 0);
			bear(2, false);
			_exit(0);
		}
		wait(NULL);
		bear(3, true);
		_exit(0);
	}
	wait(NULL);
}

int main(int argc, char **argv)
{
	victim_begin(argc, argv);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	require(shared != MAP_FAILED, "shared memory");
	require(!prctl(PR_SET_CHILD_SUBREAPER, 1), "subreaper");
	make_tasks();
	while (__atomic_load_n(&shared->count, __ATOMIC_SEQ_CST) < TASKS)
		usleep(1000);
	victim_ready();
	for (int i = 0; i < TASKS; i++) {
		pid_t pid = shared->tasks[i].pid;

		require(getsid(pid) == shared->tasks[i].sid, "task %d: %d", i, getsid(pid));
		require(getpgid(pid) == shared->tasks[i].pgid, "task %d: %d", i, getpgid(pid));
		require(!kill(pid, SIGKILL), "task %d", i);
		require(waitpid(pid, NULL, 0) == pid, "task %d is no child", i);
	}
	require(wait(NULL) < 0 && errno == ECHILD, "somebody is left");
	victim_pass();
}
