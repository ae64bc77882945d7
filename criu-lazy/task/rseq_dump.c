// SPDX-License-Identifier: GPL-2.0
/*
 * Restartable sequences. A thread that was interrupted inside a critical
 * section never continues there: the kernel sends it to the abort handler when
 * it next returns to user mode (kernel/rseq.c, rseq_ip_fixup()). Running
 * injected code in it would clear the descriptor pointer first and lose that,
 * so it is done here, before any injection.
 */
#include <linux/rseq.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "arch_regs.h"
#include "task/task_dump.h"
#include "util/log.h"

#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

struct rseq_configuration { /* struct ptrace_rseq_configuration, linux/ptrace.h */
	uint64_t address;
	uint32_t size, signature, flags, pad;
};

static bool read_target(pid_t tid, uint64_t addr, void *buf, size_t len)
{
	struct iovec local = { buf, len }, remote = { (void *)(uintptr_t)addr, len };

	return process_vm_readv(tid, &local, 1, &remote, 1, 0) == (ssize_t)len;
}

static int leave_critical_section(struct thread *thread, struct thread_facts *facts)
{
	uint64_t pointer, ip = arch_context_ip(&facts->context);
	struct rseq_cs cs;

	/* What cannot be read, the kernel could not read either: it would kill the thread. */
	if (!read_target(thread->host_tid, facts->rseq.address + offsetof(struct rseq, rseq_cs),
			 &pointer, sizeof(pointer)) ||
	    !pointer || !read_target(thread->host_tid, pointer, &cs, sizeof(cs)))
		return 0;
	if (ip - cs.start_ip >= cs.post_commit_offset)
		return 0;
	log_debug("task %d: inside the rseq critical section at 0x%llx, goes to its abort handler",
		  thread->host_tid, (unsigned long long)cs.start_ip);
	arch_context_set_ip(&facts->context, cs.abort_ip);
	return compel_context_set(thread->host_tid, &facts->context);
}

int rseq_dump_thread(struct thread *thread, struct thread_facts *facts)
{
	struct rseq_configuration conf = { 0 };

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, thread->host_tid, sizeof(conf), &conf) < 0) {
		if (errno == EIO || errno == EINVAL) /* a kernel without rseq */
			return 0;
		return log_errno("task %d: PTRACE_GET_RSEQ_CONFIGURATION", thread->host_tid);
	}
	facts->rseq = (struct rseq_facts){ conf.address, conf.size, conf.signature };
	return conf.address ? leave_critical_section(thread, facts) : 0;
}
