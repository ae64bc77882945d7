// SPDX-License-Identifier: GPL-2.0
/*
 * Makes a keeper: a process that shares the task's memory and nothing else, so that the task can
 * end and its memory stays. Runs in the task; returns the keeper's pid or a negative errno.
 *
 * The keeper is traced from its birth (CLONE_PTRACE) with the options of the task, so a seccomp
 * mode or filter that it inherits is suspended as it is there. When it holds nothing any more it
 * tells its tracer by a signal that is ignored by everybody else. It stays in that stop: this code
 * is about to be unmapped.
 */
#include <linux/sched.h>

#include "blob/keeper_args.h"
#include "blob/syscall.h"

enum { SET_NAME = 15 /* PR_SET_NAME */, SET_MASK = 2 /* SIG_SETMASK */, PAUSE_NS = 1000000 };

int64_t blob_entry(void *arg);

static const char name[] = "criu-keeper";

static long give_up_all(void)
{
	long ret = blob_call3(__NR_close_range, 0, ~0u, 0);

	/* Out of the session: its number is the pid of a task that may be wanted again. */
	if (!ret)
		ret = blob_call0(__NR_setsid);
	blob_call2(__NR_prctl, SET_NAME, (uintptr_t)name);
	return ret < 0 ? ret : 0;
}

static void keep(void *arg)
{
	const uint64_t pause[2] = { 0, PAUSE_NS }, mask = ~(1ull << (KEEPER_SIGNAL - 1));
	long ret = give_up_all(), self = blob_call0(__NR_getpid);

	if (ret)
		blob_call1(__NR_exit_group, -ret);
	blob_call4(__NR_rt_sigprocmask, SET_MASK, (uintptr_t)&mask, 0, sizeof(mask));
	for (;;) {
		blob_call2(__NR_kill, self, KEEPER_SIGNAL);
		blob_call2(__NR_nanosleep, (uintptr_t)pause, 0);
	}
}

__attribute__((section(".text.blob_entry"))) int64_t blob_entry(void *arg)
{
	struct keeper_args *args = arg;
	struct clone_args clone_args;
	uint64_t *words = (uint64_t *)&clone_args;

	for (unsigned int i = 0; i < sizeof(clone_args) / sizeof(*words); i++)
		words[i] = 0;
	/* No exit signal: nobody is told when it ends. No handlers of the task either. */
	clone_args.flags = CLONE_VM | CLONE_PTRACE | CLONE_CLEAR_SIGHAND;
	clone_args.stack = (uintptr_t)args->stack;
	clone_args.stack_size = sizeof(args->stack);
	return arch_clone3_thread(&clone_args, CLONE_ARGS_SIZE_VER0, keep, args);
}
