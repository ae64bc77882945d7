// SPDX-License-Identifier: GPL-2.0
/* Further threads: made by the leader with their tids, each runs a list of its own. */
#include <linux/sched.h>

#include "blob/restorer/restorer.h"
#include "blob/syscall.h"

static void thread_main(void *arg)
{
	const struct restorer_thread *thread = arg;
	struct restorer_args *args = (struct restorer_args *)(uintptr_t)thread->args;
	struct runner runner = {
		.args = args,
		.shared = (struct restorer_shared *)(uintptr_t)args->shared,
		.tid = thread->tid,
	};

	runner_run(&runner, (const struct restorer_call *)(uintptr_t)thread->calls,
		   thread->nr_calls);
	runner_park(&runner);
}

static void start_one(struct runner *runner, const struct restorer_call *call,
		      struct restorer_thread *thread)
{
	struct clone_args clone_args;
	uint64_t *words = (uint64_t *)&clone_args;
	long ret;

	for (unsigned int i = 0; i < sizeof(clone_args) / sizeof(*words); i++)
		words[i] = 0;
	clone_args.flags =
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	clone_args.stack = thread->stack;
	clone_args.stack_size = thread->stack_size;
	clone_args.set_tid = (uintptr_t)&thread->tid;
	clone_args.set_tid_size = 1;
	ret = arch_clone3_thread(&clone_args, CLONE_ARGS_SIZE_VER1, thread_main, thread);
	if (ret < 0) {
		runner->tid = thread->tid;
		runner_fail(runner, call, RESTORER_WHAT_THREAD, ret);
	}
}

void threads_start(struct runner *runner, const struct restorer_call *call)
{
	struct restorer_args *args = runner->args;
	struct restorer_thread *threads = (struct restorer_thread *)(uintptr_t)args->threads;

	for (uint32_t i = 0; i < args->nr_threads; i++)
		start_one(runner, call, &threads[i]);
}

void threads_join(struct runner *runner)
{
	struct restorer_args *args = runner->args;
	uint32_t joined;

	if (runner->tid != args->pid) {
		__atomic_fetch_add(&args->joined, 1, __ATOMIC_SEQ_CST);
		blob_futex_wake(&args->joined);
		return;
	}
	while ((joined = __atomic_load_n(&args->joined, __ATOMIC_SEQ_CST)) < args->nr_threads)
		blob_futex_wait(&args->joined, joined);
}

void threads_follow(struct runner *runner)
{
	struct restorer_args *args = runner->args;

	if (runner->tid == args->pid) {
		__atomic_store_n(&args->led, 1, __ATOMIC_SEQ_CST);
		blob_futex_wake(&args->led);
		return;
	}
	while (!__atomic_load_n(&args->led, __ATOMIC_SEQ_CST))
		blob_futex_wait(&args->led, 0);
}
