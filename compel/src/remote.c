// SPDX-License-Identifier: GPL-2.0
/*
 * One system call in a stopped thread: set the registers, step over its entry
 * and exit stops. PTRACE_SINGLESTEP would be one stop less, but its SIGTRAP is
 * forced on the thread: where SIGTRAP is blocked or ignored, that resets the
 * task's disposition for good (kernel/signal.c, force_sig_info_to_task()).
 *
 * All signals are blocked meanwhile. What can still come: SIGKILL (the thread
 * is gone), SIGSTOP (noted and sent again at the end), group stops caused by
 * other threads (resumed from; the kernel goes back to them at detach).
 */
#include <errno.h>
#include <sys/wait.h>

#include "internal.h"

enum { INTERRUPTED_LIMIT = 16 };

static int resume(pid_t tid, int request)
{
	if (ptrace(request, tid, NULL, NULL) == 0)
		return 0;
	return errno == ESRCH ? -ESRCH : compel_fail(-errno, "task %d: resume", tid);
}

int compel_remote_wait(struct compel_inject *inject, pid_t tid, int *status)
{
	int ret = compel_wait_stop(tid, status);

	if (ret != -ETIMEDOUT)
		return ret;
	/* Never let go of a thread that runs our code: take it out of there, wherever it is. */
	inject->is_stuck = true;
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	if (compel_wait_stop(tid, status) == -ESRCH)
		return -ESRCH;
	return compel_fail(
		-ETIMEDOUT,
		"task %d: our code in it does not come to an end (is its cgroup frozen?)", tid);
}

/* To the next entry or exit of a system call. */
static int remote_step(struct compel_inject *inject, pid_t tid)
{
	for (;;) {
		int status, ret;

		ret = resume(tid, PTRACE_SYSCALL);
		if (!ret)
			ret = compel_remote_wait(inject, tid, &status);
		if (ret)
			return ret;
		if (WSTOPSIG(status) == SYSCALL_STOP)
			return 0;
		ret = compel_stray_stop(inject, tid, status);
		if (ret)
			return ret;
	}
}

int compel_stray_stop(struct compel_inject *inject, pid_t tid, int status)
{
	if (status_is_event_stop(status))
		return 0;
	if (WSTOPSIG(status) == SIGSTOP) {
		inject->stop_owed = true;
		return 0;
	}
	return compel_fail(-EPROTO, "task %d: stopped by signal %d while our code ran in it", tid,
			   WSTOPSIG(status));
}

static bool is_restart_error(int64_t ret)
{
	return ret == -512 || ret == -513 || ret == -514;
}

static int remote_enter(struct compel_inject *inject, pid_t tid, long nr, const uint64_t args[6])
{
	uint64_t regs[ARCH_NR_REGS];
	int ret;

	memcpy(regs, inject->saved.regs, sizeof(regs));
	arch_set_syscall(regs, inject->gadget, nr, args);
	ret = compel_regs_set(tid, regs);
	if (!ret)
		ret = compel_mask_set(tid, signals_all);
	return ret ? ret : remote_step(inject, tid);
}

static int remote_result(pid_t tid, int64_t *ret)
{
	uint64_t regs[ARCH_NR_REGS];
	int err = compel_regs_get(tid, regs);

	if (!err)
		*ret = arch_syscall_ret(regs);
	return err;
}

int compel_remote_syscall(struct compel_inject *inject, pid_t tid, long nr, const uint64_t args[6],
			  int64_t *ret)
{
	for (int i = 0; i < INTERRUPTED_LIMIT; i++) {
		int err = remote_enter(inject, tid, nr, args);

		if (!err)
			err = remote_step(inject, tid);
		if (!err)
			err = remote_result(tid, ret);
		if (err)
			return err;
		/* A stop of the group broke into it: nothing was done, again. */
		if (!is_restart_error(*ret))
			return 0;
	}
	return compel_fail(-EINTR, "task %d: system call %ld is interrupted again and again", tid,
			   nr);
}

/* Waits for the event stop that PTRACE_INTERRUPT asked for. */
static int wait_event_stop(struct compel_inject *inject, pid_t tid)
{
	for (;;) {
		int status, ret;

		ret = compel_remote_wait(inject, tid, &status);
		if (ret || status_is_event_stop(status))
			return ret;
		ret = compel_stray_stop(inject, tid, status);
		if (!ret)
			ret = resume(tid, PTRACE_CONT);
		if (ret)
			return ret;
	}
}

int compel_interrupt(struct compel_inject *inject, pid_t tid)
{
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	return wait_event_stop(inject, tid);
}

int compel_to_restart_stop(struct compel_inject *inject, pid_t tid)
{
	int ret;

	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	ret = resume(tid, PTRACE_CONT);
	return ret ? ret : wait_event_stop(inject, tid);
}

int compel_remote_last(struct compel_inject *inject, pid_t tid, long nr, const uint64_t args[6],
		       int64_t *ret)
{
	int err = remote_enter(inject, tid, nr, args);

	/* Asked for at the entry stop, the event stop takes the place of the exit stop. */
	if (!err)
		err = compel_to_restart_stop(inject, tid);
	return err ? err : remote_result(tid, ret);
}
