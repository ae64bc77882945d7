// SPDX-License-Identifier: GPL-2.0
/* Restartable sequences: what is registered. That a thread was inside of one is already seen to in
 * its context (compel_context_get()). */
#include <errno.h>
#include <sys/ptrace.h>

#include "task/task_dump.h"
#include "util/log.h"

#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

struct rseq_configuration { /* struct ptrace_rseq_configuration, linux/ptrace.h */
	uint64_t address;
	uint32_t size, signature, flags, pad;
};

int rseq_dump_thread(struct thread *thread, struct thread_facts *facts)
{
	struct rseq_configuration conf = { 0 };

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, thread->host_tid, sizeof(conf), &conf) < 0) {
		if (errno == EIO || errno == EINVAL) /* a kernel without rseq */
			return 0;
		return log_errno("task %d: PTRACE_GET_RSEQ_CONFIGURATION", thread->host_tid);
	}
	facts->rseq = (struct rseq_facts){ conf.address, conf.size, conf.signature };
	return 0;
}
