/* SPDX-License-Identifier: GPL-2.0 */
/*
 * compel: code injection as a library. Seize and stop tasks, run system calls
 * in them through a syscall instruction that is already there (the vDSO), load
 * a position-independent blob and talk to it over a socket, read and set whole
 * thread contexts, and leave without trace. Knows nothing of checkpoints.
 *
 * All calls are made by the tracer: one thread of one process. They return 0
 * or a negative errno; -ESRCH means that the tracee is gone, which is an
 * ordinary result and not logged. Everything else is told to the log hook.
 */
#ifndef COMPEL_H
#define COMPEL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* error: a human must act; otherwise a debug line. Set once, before other calls. */
typedef void (*compel_log_fn)(bool is_error, const char *fmt, va_list args);
void compel_set_log(compel_log_fn fn);
/* How long a thread may take to stop when seized, or to run our calls; 5000 ms unless set. */
void compel_set_stop_timeout(unsigned int ms);

/* ---- threads ------------------------------------------------------------ */

enum compel_task_state {
	COMPEL_ALIVE,	/* was running or sleeping */
	COMPEL_STOPPED, /* was in a group stop (SIGSTOP and friends): stays stopped after detach */
	COMPEL_ZOMBIE,	/* dead, not reaped; nothing was seized */
};

struct compel_stop {
	enum compel_task_state state;
	int stop_signal; /* for COMPEL_STOPPED: the signal of the group stop */
};

/*
 * PTRACE_SEIZE + PTRACE_INTERRUPT one thread and wait until it is stopped
 * (ptrace(2), PTRACE_SEIZE). Options: EXITKILL is not set; SUSPEND_SECCOMP is,
 * where allowed. tid is as the tracer sees it. Pending signals stay pending: a
 * signal that was just being delivered goes back into its queue, siginfo and all.
 * -ETIMEDOUT: it did not stop in time (a vfork parent waits for its
 * child, say); the request goes with the tracer. A child of the tracer itself
 * that ends while it is seized is reaped here.
 */
int compel_seize(pid_t tid, struct compel_stop *out);
/*
 * For many threads at once: request first, then wait, so that latencies
 * overlap. begin says -ESRCH for a zombie, too; compel_seize() tells them apart.
 */
int compel_seize_begin(pid_t tid);
int compel_seize_wait(pid_t tid, struct compel_stop *out);
/*
 * Lets one thread go; a group-stopped one stays stopped. An interrupted system
 * call restarts as the kernel would have it, unless a compel_syscall() was the
 * last thing before (compel_inject_end() sees to that). -ETIMEDOUT: the thread
 * was asked to stop and did not yet; it is still traced. Let the others go (it
 * may wait for them), then call again; the end of the tracer lets it go, too.
 */
int compel_detach(pid_t tid);

/*
 * Everything a thread's registers are: general registers, the whole xsave area
 * (x86-64: NT_X86_XSTATE, any size up to COMPEL_XSAVE_MAX) and the signal mask.
 * Opaque outside arch code and the image converters in arch/.
 */
enum { COMPEL_XSAVE_MAX = 16384 };
struct compel_context {
	uint64_t sigmask;
	size_t fpu_size;
	uint64_t regs[40];					    /* NT_PRSTATUS */
	uint8_t fpu[COMPEL_XSAVE_MAX] __attribute__((aligned(64))); /* NT_X86_XSTATE */
};
/*
 * Of a stopped thread; changes nothing in it. A restartable sequence (rseq(2))
 * that the stop broke into is shown aborted, as the kernel would abort it: the
 * instruction pointer is its abort handler's. -EOPNOTSUPP: a 32-bit thread.
 */
int compel_context_get(pid_t tid, struct compel_context *ctx);
int compel_context_set(pid_t tid, const struct compel_context *ctx);

/* ---- injection ---------------------------------------------------------- */

struct compel_inject;

/*
 * Prepares a stopped thread for injection: saves its context, blocks signals,
 * finds a syscall instruction in the vDSO (or, without one, in any executable
 * mapping). pid: the process; tid: the stopped thread to run in. A seccomp
 * filter that could not be suspended (no CAP_SYS_ADMIN) is refused with -EPERM.
 */
int compel_inject_begin(pid_t pid, pid_t tid, struct compel_inject **out);
/*
 * Closes and unmaps what was opened and mapped, restores the context, frees,
 * clears *inject. Does not detach. Safe on a dead tracee (-ESRCH).
 */
int compel_inject_end(struct compel_inject **inject);

/* One remote system call; *ret is the raw kernel return (negative errno on failure). */
int compel_syscall(struct compel_inject *inject, long nr, const uint64_t args[6], int64_t *ret);

/* Anonymous memory in the task, unmapped by compel_inject_end(). len is rounded up to pages. */
int compel_mmap(struct compel_inject *inject, size_t len, int prot, uint64_t *addr);
int compel_read(struct compel_inject *inject, uint64_t addr, void *buf, size_t len);
int compel_write(struct compel_inject *inject, uint64_t addr, const void *buf, size_t len);

/* A list of system calls run in one go by a small built-in blob, in order. An argument may
 * point into the scratch area (compel_batch_scratch). All of them run; look at each ret. */
struct compel_call {
	uint64_t nr;
	uint64_t args[6];
	int64_t ret;
};
int compel_batch(struct compel_inject *inject, struct compel_call *calls, size_t count);
/* The same in another stopped thread of the same process (tid), using inject's mappings. */
int compel_batch_in(struct compel_inject *inject, pid_t tid, struct compel_call *calls,
		    size_t count);
/* Address and size (at least 16 KiB) of remote scratch memory for batch arguments. */
int compel_scratch(struct compel_inject *inject, uint64_t *addr, size_t *size);

/*
 * A position-independent blob: bytes with the entry at `entry`. It is called as
 *     int64_t entry(void *args)
 * on a stack of its own (64 KiB) with all signals blocked, in the seized thread, and ends by
 * returning. It may use any register. Its own data is writable except where the task may have no
 * memory that is both writable and executable.
 */
struct compel_blob {
	const void *code;
	size_t size;
	size_t entry;
};
/* Loads (once per inject), copies args in, runs to completion, copies args back. */
int compel_run(struct compel_inject *inject, const struct compel_blob *blob, void *args,
	       size_t args_size, int64_t *ret);

/* A stream socket pair between the tracer (*fd, owned by the caller) and the task (*remote_fd,
 * closed by compel_inject_end), across any namespace. The task's thread must share its
 * process's descriptors. */
int compel_socket(struct compel_inject *inject, int *fd, int *remote_fd);
/* Starts the blob as a server: it runs (the tracee continues) until compel_server_wait(), which
 * waits for it to return. compel_inject_end() on a running one stops it where it is. */
int compel_server_start(struct compel_inject *inject, const struct compel_blob *blob,
			const void *args, size_t args_size);
int compel_server_wait(struct compel_inject *inject, int64_t *ret);

#endif
