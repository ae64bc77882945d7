// SPDX-License-Identifier: GPL-2.0
/*
 * Makes a keeper: a process that shares the task's memory and nothing else, so that the task can
 * end and its memory stays. Runs in the task; returns the keeper's pid or a negative errno.
 *
 * The keeper waits in here with all signals blocked until the tracer has seized it; it never
 * runs again, since this code is unmapped then.
 */
#include <linux/sched.h>

#include "blob/keeper_args.h"
#include "blob/syscall.h"

enum { SET_NAME = 15 /* PR_SET_NAME */, PAUSE_NS = 50000, PAUSES = 40000 };

int64_t blob_entry(void *arg);

static const char name[] = "criu-keeper";

static void nap(void)
{
	const uint64_t pause[2] = { 0, PAUSE_NS };

	blob_call2(__NR_nanosleep, (uintptr_t)pause, 0);
}

static void keep(void *arg)
{
	struct keeper_args *args = arg;
	long ret = blob_call3(__NR_close_range, 0, ~0u, 0);

	/* Out of the session: its number is the pid of a task that may be wanted again. */
	if (!ret)
		ret = blob_call0(__NR_setsid);
	blob_call2(__NR_prctl, SET_NAME, (uintptr_t)name);
	args->error = ret < 0 ? ret : 0;
	__atomic_store_n(&args->is_ready, 1, __ATOMIC_SEQ_CST);
	for (;;)
		nap();
}

__attribute__((section(".text.blob_entry"))) int64_t blob_entry(void *arg)
{
	struct keeper_args *args = arg;
	struct clone_args clone_args;
	uint64_t *words = (uint64_t *)&clone_args;
	long pid;

	for (unsigned int i = 0; i < sizeof(clone_args) / sizeof(*words); i++)
		words[i] = 0;
	/* No exit signal: nobody is told when it ends. */
	clone_args.flags = CLONE_VM;
	clone_args.stack = (uintptr_t)args->stack;
	clone_args.stack_size = sizeof(args->stack);
	pid = arch_clone3_thread(&clone_args, CLONE_ARGS_SIZE_VER0, keep, args);
	for (int i = 0;
	     pid > 0 && i < PAUSES && !__atomic_load_n(&args->is_ready, __ATOMIC_SEQ_CST); i++)
		nap();
	return pid;
}
