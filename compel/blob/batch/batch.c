// SPDX-License-Identifier: GPL-2.0
/*
 * The built-in blob: runs a list of system calls, or calls a function, then
 * stops the thread by sending it a signal. tgkill(2) and not a breakpoint: a
 * breakpoint's SIGTRAP is forced, which resets the disposition of a task that
 * ignores SIGTRAP. Under ptrace a sent signal stops the thread even if ignored.
 */
#include <asm/unistd.h>

#include "../../src/launch.h"
#include "compel_blob.h"

COMPEL_GENERAL_REGS_ONLY

void blob_entry(struct launch_args *args);

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
	for (;;)
		blob_syscall(__NR_tgkill, pid, tid, args->end_signal, 0, 0, 0);
}
