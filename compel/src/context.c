// SPDX-License-Identifier: GPL-2.0
/* Registers, extended state and signal mask of a stopped thread, by ptrace. */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "internal.h"

_Static_assert(sizeof(((struct compel_context *)NULL)->regs) >= ARCH_REGS_SIZE, "regs fit");

/* Linux 5.13; C libraries differ in the struct's name */
#define GET_RSEQ_CONFIGURATION 0x420f
struct rseq_configuration {
	uint64_t rseq_abi_pointer;
	uint32_t rseq_abi_size;
	uint32_t signature;
	uint32_t flags;
	uint32_t pad;
};

/* include/uapi/linux/rseq.h */
struct rseq_section {
	uint32_t version, flags;
	uint64_t start_ip, post_commit_offset, abort_ip;
};
enum { RSEQ_SECTION_POINTER = 8 }; /* offset of rseq_cs in struct rseq */

int compel_regs_get(pid_t tid, uint64_t *regs)
{
	struct iovec iov = { regs, ARCH_REGS_SIZE };

	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &iov) == 0) {
		if (iov.iov_len == ARCH_REGS_SIZE)
			return 0;
		return compel_fail(-EOPNOTSUPP, "task %d: runs 32-bit code, which is not supported",
				   tid);
	}
	return errno == ESRCH ? -ESRCH : compel_fail(-errno, "task %d: get registers", tid);
}

int compel_regs_set(pid_t tid, const uint64_t *regs)
{
	struct iovec iov = { (void *)regs, ARCH_REGS_SIZE };

	if (ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &iov) == 0)
		return 0;
	return errno == ESRCH ? -ESRCH : compel_fail(-errno, "task %d: set registers", tid);
}

int compel_fpu_get(pid_t tid, struct compel_context *ctx)
{
	struct iovec iov = { ctx->fpu, sizeof(ctx->fpu) };

	if (ptrace(PTRACE_GETREGSET, tid, ARCH_FPU_REGSET, &iov) < 0)
		return errno == ESRCH ? -ESRCH
				      : compel_fail(-errno, "task %d: get extended state", tid);
	/* The kernel cuts silently: a full buffer may be a cut one. */
	if (iov.iov_len >= sizeof(ctx->fpu))
		return compel_fail(-EOVERFLOW, "task %d: extended state takes over %zu bytes", tid,
				   sizeof(ctx->fpu));
	ctx->fpu_size = iov.iov_len;
	return 0;
}

int compel_fpu_set(pid_t tid, const struct compel_context *ctx)
{
	struct iovec iov = { (void *)ctx->fpu, ctx->fpu_size };

	if (ptrace(PTRACE_SETREGSET, tid, ARCH_FPU_REGSET, &iov) == 0)
		return 0;
	return errno == ESRCH ? -ESRCH
			      : compel_fail(-errno, "task %d: set %zu bytes of extended state", tid,
					    ctx->fpu_size);
}

int compel_mask_get(pid_t tid, uint64_t *mask)
{
	if (ptrace(PTRACE_GETSIGMASK, tid, KERNEL_SIGSET_SIZE, mask) == 0)
		return 0;
	return errno == ESRCH ? -ESRCH : compel_fail(-errno, "task %d: get signal mask", tid);
}

int compel_mask_set(pid_t tid, uint64_t mask)
{
	if (ptrace(PTRACE_SETSIGMASK, tid, KERNEL_SIGSET_SIZE, &mask) == 0)
		return 0;
	return errno == ESRCH ? -ESRCH : compel_fail(-errno, "task %d: set signal mask", tid);
}

static bool peek(pid_t tid, uint64_t addr, void *buf, size_t len)
{
	struct iovec local = { buf, len }, remote = { (void *)addr, len };

	return process_vm_readv(tid, &local, 1, &remote, 1, 0) == (ssize_t)len;
}

/*
 * A thread stopped inside a restartable sequence has been preempted, so the
 * sequence is void: the kernel would send it to the abort handler when it next
 * returns to user mode. It finds out by comparing the instruction pointer with
 * the current section, so it could not if the thread first ran our code, or if
 * these registers were set in another thread. Hence abort here, in the same
 * way (kernel/rseq.c).
 */
static void context_abort_rseq(pid_t tid, uint64_t *regs)
{
	struct rseq_configuration conf;
	struct rseq_section section;
	uint32_t signature;
	uint64_t addr;

	if (ptrace(GET_RSEQ_CONFIGURATION, tid, sizeof(conf), &conf) < 0 || !conf.rseq_abi_pointer)
		return;
	if (!peek(tid, conf.rseq_abi_pointer + RSEQ_SECTION_POINTER, &addr, sizeof(addr)) || !addr)
		return;
	if (!peek(tid, addr, &section, sizeof(section)) ||
	    arch_ip(regs) - section.start_ip >= section.post_commit_offset)
		return;
	if (!peek(tid, section.abort_ip - sizeof(signature), &signature, sizeof(signature)) ||
	    signature != conf.signature)
		return;
	compel_debug("task %d: aborts its restartable sequence at 0x%llx", tid,
		     (unsigned long long)arch_ip(regs));
	arch_set_ip(regs, section.abort_ip);
}

int compel_context_get_regs(pid_t tid, struct compel_context *ctx)
{
	int ret = compel_regs_get(tid, ctx->regs);

	if (ret)
		return ret;
	context_abort_rseq(tid, ctx->regs);
	return compel_mask_get(tid, &ctx->sigmask);
}

int compel_context_get(pid_t tid, struct compel_context *ctx)
{
	int ret = compel_context_get_regs(tid, ctx);

	return ret ? ret : compel_fpu_get(tid, ctx);
}

int compel_context_set(pid_t tid, const struct compel_context *ctx)
{
	int ret;

	if (!ctx->fpu_size || ctx->fpu_size > sizeof(ctx->fpu))
		return compel_fail(-EINVAL, "task %d: extended state of %zu bytes", tid,
				   ctx->fpu_size);
	ret = compel_fpu_set(tid, ctx);
	if (!ret)
		ret = compel_regs_set(tid, ctx->regs);
	return ret ? ret : compel_mask_set(tid, ctx->sigmask);
}
