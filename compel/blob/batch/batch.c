// SPDX-License-Identifier: GPL-2.0
/*
 * The built-in blob: runs a list of system calls, or calls a function, then
 * stops the thread by sending it a signal. tgkill(2) and not a breakpoint: a
 * breakpoint's SIGTRAP is forced, which resets the disposition of a task that
 * ignores SIGTRAP. Under ptrace a sent signal stops the thread even if ignored,
 * and one that is ignored by default does no harm without a tracer.
 */
#include <asm/unistd.h>

#include "../../src/launch.h"
#include "compel_blob.h"

COMPEL_GENERAL_REGS_ONLY

void blob_entry(struct launch_args *args);

/*
 * Nobody has taken the stop: the tracer is dead. After calls alone the thread goes on where it was;
 * only the mapping stays behind. A caller's blob may have used any register: no wrong bytes.
 */
__attribute__((noreturn)) static void go_on_alone(struct launch_args *args, int64_t pid)
{
	while (!args->rest.is_there)
		blob_syscall(__NR_kill, pid, 9 /* SIGKILL */, 0, 0, 0, 0);
	blob_syscall(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, (uint64_t)&args->rest.mask, 0, 8, 0,
		     0);
	blob_go_on(args->rest.regs);
}

__attribute__((section(".text.blob_entry"), noreturn)) void blob_entry(struct launch_args *args)
{
	int64_t pid, tid;

	if (args->fn)
		args->ret = ((int64_t(*)(uint64_t))args->fn)(args->arg);
	for (uint64_t i = 0; i < args->nr_calls; i++) {
		struct launch_call *call = &args->calls[i];

		call->ret = blob_syscall(call->nr, call->args[0], call->args[1], call->args[2],
					 call->args[3], call->args[4], call->args[5]);
	}
	args->state = LAUNCH_DONE;
	pid = blob_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0);
	tid = blob_syscall(__NR_gettid, 0, 0, 0, 0, 0, 0);
	blob_syscall(__NR_tgkill, pid, tid, args->end_signal, 0, 0, 0);
	go_on_alone(args, pid);
}
