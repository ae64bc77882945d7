// SPDX-License-Identifier: GPL-2.0
/* The restorer blob: runs the lists of blob/restorer_args.h inside a restored task. */
#include "blob/restorer/restorer.h"

#include "blob/syscall.h"

void runner_tell(struct runner *runner)
{
	__atomic_fetch_add(&runner->shared->event, 1, __ATOMIC_SEQ_CST);
	blob_futex_wake(&runner->shared->event);
}

/* To be seized, or killed: the word never changes. */
static void __attribute__((noreturn)) wait_forever(void)
{
	uint32_t never = 0;

	for (;;)
		blob_futex_wait(&never, 0);
}

void runner_fail(struct runner *runner, const struct restorer_call *call, uint32_t what, long err)
{
	struct restorer_error *error = &runner->shared->error;

	if (!__atomic_exchange_n(&error->is_taken, 1, __ATOMIC_SEQ_CST)) {
		error->pid = runner->args->pid;
		error->tid = runner->tid;
		error->err = (int32_t)err;
		error->what = what;
		error->nr = call->nr;
		for (int i = 0; i < 3; i++)
			error->args[i] = call->args[i];
		__atomic_store_n(&error->is_written, 1, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&runner->shared->failed, 1, __ATOMIC_SEQ_CST);
	runner_tell(runner);
	wait_forever();
}

void runner_park(struct runner *runner)
{
	__atomic_fetch_add(&runner->shared->parked, 1, __ATOMIC_SEQ_CST);
	runner_tell(runner);
	wait_forever();
}

static void wait_at_gate(struct runner *runner)
{
	__atomic_fetch_add(&runner->shared->gated, 1, __ATOMIC_SEQ_CST);
	runner_tell(runner);
	while (!__atomic_load_n(&runner->shared->gate, __ATOMIC_SEQ_CST))
		blob_futex_wait(&runner->shared->gate, 0);
}

static long make_call(const struct restorer_call *call)
{
	const uint64_t *args = call->args;

	return arch_syscall(call->nr, args[0], args[1], args[2], args[3], args[4], args[5]);
}

static void read_pages(struct runner *runner, const struct restorer_call *call)
{
	long ret =
		blob_call4(__NR_preadv, call->args[0], call->args[1], call->args[2], call->args[3]);

	/* The list keeps each read far below the kernel's limit, so short means a short file or no
	 * memory. */
	if (ret >= 0 && (uint64_t)ret != call->expect)
		ret = -5; /* EIO */
	if (ret < 0)
		runner_fail(runner, call, call->what, ret);
}

static void run_system_call(struct runner *runner, const struct restorer_call *call)
{
	long ret = make_call(call);

	if (call->check == RESTORER_ANY)
		return;
	if (ret < 0 && ret >= -4095)
		runner_fail(runner, call, call->what, ret);
	if (call->check == RESTORER_EQUAL && (uint64_t)ret != call->expect)
		runner_fail(runner, call, call->what, -17 /* EEXIST: somewhere else */);
}

static void poke(const struct restorer_call *call)
{
	volatile uint8_t *to = (volatile uint8_t *)(uintptr_t)call->args[0];
	const uint8_t *from = (const uint8_t *)(uintptr_t)call->args[1];

	for (uint64_t i = 0; i < call->args[2]; i++)
		to[i] = from[i];
}

static void run_item(struct runner *runner, const struct restorer_call *call)
{
	switch (call->nr) {
	case RESTORER_OP_READ:
		read_pages(runner, call);
		break;
	case RESTORER_OP_FILL:
		fill_pages(runner, call);
		break;
	case RESTORER_OP_LAZY:
		lazy_hand_over(runner, call);
		break;
	case RESTORER_OP_THREADS:
		threads_start(runner, call);
		break;
	case RESTORER_OP_JOIN:
		threads_join(runner);
		break;
	case RESTORER_OP_FOLLOW:
		threads_follow(runner);
		break;
	case RESTORER_OP_TIMER:
		timer_make(runner, call);
		break;
	case RESTORER_OP_POKE:
		poke(call);
		break;
	case RESTORER_OP_GATE:
		wait_at_gate(runner);
		break;
	default:
		run_system_call(runner, call);
	}
}

void runner_run(struct runner *runner, const struct restorer_call *calls, uint32_t nr_calls)
{
	for (uint32_t i = 0; i < nr_calls; i++)
		run_item(runner, &calls[i]);
}

/* The leader, on a stack inside the region, all signals blocked. */
void __attribute__((noreturn, section(".text.blob_entry"))) blob_entry(struct restorer_args *args);
void blob_entry(struct restorer_args *args)
{
	struct runner runner = {
		.args = args,
		.shared = (struct restorer_shared *)(uintptr_t)args->shared,
		.tid = args->pid,
	};

	runner_run(&runner, (const struct restorer_call *)(uintptr_t)args->calls, args->nr_calls);
	runner_park(&runner);
}
