/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of compel share; nothing outside compel/ includes this. */
#ifndef COMPEL_INTERNAL_H
#define COMPEL_INTERNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/types.h>

#include "compel.h"
#include "compel_arch.h"

/* ---- log.c ---- */

void compel_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Tells the hook and returns err, with its text appended. */
int compel_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- seize.c ---- */

enum { SYSCALL_STOP = SIGTRAP | 0x80 }; /* with PTRACE_O_TRACESYSGOOD */

/* The kernel's mask of 64 signals, not the C library's. */
enum { KERNEL_SIGSET_SIZE = 8 };
static const uint64_t signals_all = ~0ull;
static inline uint64_t signal_bit(int sig)
{
	return 1ull << (sig - 1);
}

/* compel_wait_for() with the limit of compel_set_stop_timeout(). */
int compel_wait_stop(pid_t tid, int *status);
/* Waits without limit; -ESRCH: the thread is gone (and reaped as far as that is ours to do). */
int compel_wait(pid_t tid, int *status);
/* The same with a limit: -ETIMEDOUT. */
int compel_wait_for(pid_t tid, int *status, unsigned int timeout_ms);
/*
 * From a signal-delivery-stop: puts the signal back into its queue, siginfo
 * and all, and stops again with the mask `mask` in force and *status as waited for. The new stop is
 * one from which the kernel restarts system calls.
 */
int compel_requeue(pid_t tid, int sig, uint64_t mask, int *status);
/* Whether threads are seized with their seccomp filters suspended. */
bool compel_seccomp_is_suspended(void);

int compel_mask_get(pid_t tid, uint64_t *mask);
int compel_mask_set(pid_t tid, uint64_t mask);

static inline bool status_is_event_stop(int status)
{
	return status >> 16 == PTRACE_EVENT_STOP;
}

/* ---- context.c ---- */

/* compel_context_get() without the extended state. */
int compel_context_get_regs(pid_t tid, struct compel_context *ctx);
int compel_regs_get(pid_t tid, uint64_t *regs);
int compel_regs_set(pid_t tid, const uint64_t *regs);
int compel_fpu_get(pid_t tid, struct compel_context *ctx);
int compel_fpu_set(pid_t tid, const struct compel_context *ctx);

/* ---- gadget.c ---- */

/* The address of a syscall instruction in the process. */
int compel_find_gadget(pid_t pid, uint64_t *addr);

/* ---- inject ---- */

struct compel_mapping {
	uint64_t addr;
	size_t len;
};

/*
 * One anonymous mapping of ours in the task, made when first needed:
 *     code (the built-in blob) | launch arguments | stack | scratch
 * and one more for a caller's blob, with the same order inside.
 */
enum {
	AREA_CODE = 4096,
	AREA_LAUNCH = 8192,
	AREA_STACK = 4096,
	AREA_SCRATCH = 16384,
	AREA_SIZE = AREA_CODE + AREA_LAUNCH + AREA_STACK + AREA_SCRATCH,
};

struct compel_inject {
	pid_t pid, tid;
	struct compel_context saved; /* regs and mask at begin; fpu only once fpu_saved */
	bool fpu_saved;
	bool stop_owed;	   /* a SIGSTOP came while we worked: sent again at the end */
	bool is_stuck;	   /* our code did not end in time; the thread is stopped again */
	bool restart_stop; /* the thread is in a stop from which the kernel restarts system calls */
	uint64_t gadget;
	uint64_t area; /* 0: not yet mapped */

	struct compel_mapping *maps;
	size_t nr_maps;

	const void *blob_code; /* loaded by compel_run or _server_start */
	uint64_t blob_addr, blob_args;
	size_t blob_args_size;
	bool is_server_running;

	int *remote_fds;
	size_t nr_remote_fds;
};

/* ---- remote.c ---- */

/* As compel_syscall(), in any stopped thread; regs and mask are left as they fall. */
int compel_remote_syscall(struct compel_inject *inject, pid_t tid, long nr, const uint64_t args[6],
			  int64_t *ret);
/*
 * The same for a call that no signal interrupts, ending in a stop from which
 * the kernel restarts system calls; costs no stop more.
 */
int compel_remote_last(struct compel_inject *inject, pid_t tid, long nr, const uint64_t args[6],
		       int64_t *ret);

/*
 * A stop that is not the awaited one: 0 if the thread may be resumed from it
 * (a group stop, a SIGSTOP noted for later), an error otherwise.
 */
int compel_stray_stop(struct compel_inject *inject, pid_t tid, int status);
/*
 * Waits for a thread that runs our code. -ETIMEDOUT: it did not stop in time,
 * was interrupted, and inject is stuck: it may only be ended.
 */
int compel_remote_wait(struct compel_inject *inject, pid_t tid, int *status);
/* Stops a running thread again. */
int compel_interrupt(struct compel_inject *inject, pid_t tid);
/* From any stop to one from which the kernel restarts system calls. */
int compel_to_restart_stop(struct compel_inject *inject, pid_t tid);

/* ---- inject.c ---- */

/* -EBUSY with a running server, -ETIMEDOUT once stuck. */
int compel_check_idle(const struct compel_inject *inject);
/*
 * After each thing done in inject->tid: puts its registers and mask back, so
 * that the task goes on unharmed if the tracer is killed between two of them.
 */
int compel_rest(struct compel_inject *inject);
/* compel_mmap() that tells of the kernel's refusal in *ret, without a word. len in whole pages. */
int compel_try_mmap(struct compel_inject *inject, size_t len, int prot, uint64_t *addr,
		    int64_t *ret);

/* ---- launch.c ---- */

int compel_area_get(struct compel_inject *inject, uint64_t *area);

#endif
