// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of a system call that the dump interrupted. The kernel's own
 * rules are in arch_do_signal_or_restart(); see arch_core.h for where ours
 * must differ.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "arch_core.h"
#include "compel.h"
#include "util/log.h"

/* Not in the uapi headers, but visible to tracers (include/linux/errno.h). */
enum {
	ERESTARTSYS = 512,
	ERESTARTNOINTR = 513,
	ERESTARTNOHAND = 514,
	ERESTART_RESTARTBLOCK = 516,
};

enum { SYSCALL_INSN_SIZE = 2 }; /* syscall, sysenter and int 0x80 alike */

static void restart_issue_again(struct user_regs_struct *regs, uint64_t nr)
{
	regs->rip -= SYSCALL_INSN_SIZE;
	regs->rax = nr;
}

/*
 * A call that was restarted once shows as restart_syscall(2). Its arguments
 * are still in place; its number is in `mov $nr, %eax` right before the
 * syscall instruction, or unknown (0 is read(2), which never gets here).
 */
static uint64_t restart_find_number(const struct user_regs_struct *regs, pid_t tid)
{
	uint8_t code[7]; /* b8 imm32 0f 05 */
	struct iovec local = { code, sizeof(code) };
	struct iovec remote = { (void *)(regs->rip - sizeof(code)), sizeof(code) };
	uint32_t nr;

	if (regs->orig_rax != SYS_restart_syscall)
		return regs->orig_rax;
	if (process_vm_readv(tid, &local, 1, &remote, 1, 0) != sizeof(code))
		return 0;
	if (code[0] != 0xb8 || code[5] != 0x0f || code[6] != 0x05)
		return 0;
	memcpy(&nr, code + 1, sizeof(nr));
	return nr;
}

static void restart_block(struct user_regs_struct *regs, pid_t tid)
{
	uint64_t nr = restart_find_number(regs, tid);
	bool tells_remainder;

	switch (nr) {
	case SYS_nanosleep:
		/* With rem == req, as sleep(3) calls it, the argument already is the remainder. */
		tells_remainder = regs->rsi && regs->rsi != regs->rdi;
		break;
	case SYS_clock_nanosleep:
		tells_remainder = regs->r10 && regs->r10 != regs->rdx;
		break;
	case SYS_poll:
	case SYS_futex:
		tells_remainder = false;
		break;
	default:
		log_info("task %d: an interrupted system call (%lld) ends with EINTR", tid,
			 (long long)nr);
		regs->rax = -EINTR;
		return;
	}

	if (tells_remainder)
		regs->rax = -EINTR;
	else
		restart_issue_again(regs, nr);
}

void arch_context_fix_restart(struct compel_context *ctx, pid_t tid, enum arch_pending pending)
{
	struct user_regs_struct *regs = (struct user_regs_struct *)ctx->regs;

	if ((int64_t)regs->orig_rax < 0)
		return;

	switch (-(int64_t)regs->rax) {
	case ERESTARTNOINTR:
		restart_issue_again(regs, regs->orig_rax);
		break;
	case ERESTARTSYS:
		if (pending == ARCH_PENDING_HANDLER)
			regs->rax = -EINTR;
		else
			restart_issue_again(regs, regs->orig_rax);
		break;
	case ERESTARTNOHAND:
		if (pending != ARCH_PENDING_NONE)
			regs->rax = -EINTR;
		else
			restart_issue_again(regs, regs->orig_rax);
		break;
	case ERESTART_RESTARTBLOCK:
		if (pending != ARCH_PENDING_NONE)
			regs->rax = -EINTR;
		else
			restart_block(regs, tid);
		break;
	default:
		break;
	}
	regs->orig_rax = -1ull;
}
