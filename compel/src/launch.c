// SPDX-License-Identifier: GPL-2.0
/*
 * Running the built-in blob in a stopped thread, and what is built on it:
 * batches of system calls, a caller's blob, and such a blob as a server.
 *
 * One run is one stop: registers are set, the thread continues, and stops by a
 * signal that the blob sends itself. That stop lies in signal delivery, so
 * the registers of an interrupted system call may be put back there.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "batch-blob.h"
#include "internal.h"
#include "launch.h"

_Static_assert(sizeof(struct compel_call) == sizeof(struct launch_call), "one layout");
_Static_assert(offsetof(struct compel_call, args) == offsetof(struct launch_call, args) &&
		       offsetof(struct compel_call, ret) == offsetof(struct launch_call, ret),
	       "one layout");
_Static_assert(batch_blob_entry == 0 && (size_t)AREA_CODE == 4096, "blob_go_on() knows it");
_Static_assert((size_t)batch_blob_size <= (size_t)AREA_CODE, "the blob fits");

enum {
	BATCH_MAX = ((size_t)AREA_LAUNCH - sizeof(struct launch_args)) / sizeof(struct launch_call),
	BLOB_STACK = 64 * 1024,
	BLOB_MAX = 64 * 1024 * 1024, /* of code, and of arguments */
};

/* ---- memory ------------------------------------------------------------- */

/*
 * len bytes of which the first code_len are executable and the rest is
 * writable. All of it is both where that is allowed. Where it is not (SELinux
 * execmem, PR_SET_MDWE) the code is mapped unwritable from the start and
 * filled through /proc/PID/mem.
 */
static int map_code(struct compel_inject *inject, size_t code_len, size_t len, uint64_t *addr)
{
	int64_t ret = 0;
	int err;

	err = compel_try_mmap(inject, len, PROT_READ | PROT_WRITE | PROT_EXEC, addr, &ret);
	if (err || ret >= 0)
		return err;
	if (ret != -EACCES && ret != -EPERM)
		return compel_fail(ret, "task %d: map %zu bytes for our code", inject->tid, len);

	err = compel_mmap(inject, len, PROT_READ | PROT_EXEC, addr);
	if (!err)
		err = compel_syscall(
			inject, SYS_mprotect,
			(uint64_t[6]){ *addr + code_len, len - code_len, PROT_READ | PROT_WRITE },
			&ret);
	if (!err && ret < 0)
		err = compel_fail(ret, "task %d: make our data writable", inject->tid);
	return err;
}

int compel_area_get(struct compel_inject *inject, uint64_t *area)
{
	uint64_t addr;
	int ret;

	if (!inject->area) {
		ret = map_code(inject, AREA_CODE, AREA_SIZE, &addr);
		if (!ret)
			ret = compel_write(inject, addr, batch_blob, batch_blob_size);
		if (ret)
			return ret;
		inject->area = addr;
	}
	*area = inject->area;
	return 0;
}

int compel_scratch(struct compel_inject *inject, uint64_t *addr, size_t *size)
{
	uint64_t area;
	int ret = compel_area_get(inject, &area);

	if (ret)
		return ret;
	*addr = area + AREA_CODE + AREA_LAUNCH + AREA_STACK;
	*size = AREA_SCRATCH;
	return 0;
}

/* ---- one run ------------------------------------------------------------ */

static uint64_t launch_args_addr(const struct compel_inject *inject)
{
	return inject->area + AREA_CODE;
}

/*
 * The signals a run may end with, the first being the usual one. Where the
 * same signal of somebody else's had been blocked and pending, it comes first:
 * it is put back into its queue and the run ends with the next of the list.
 */
static const uint32_t end_signals[] = { SIGURG, SIGWINCH, SIGTRAP, SIGSYS, SIGXCPU };
enum { END_SIGNALS = sizeof(end_signals) / sizeof(end_signals[0]) };

static int launch_write(struct compel_inject *inject, struct launch_args *args,
			const struct compel_call *calls)
{
	size_t size = args->nr_calls * sizeof(*calls);
	struct iovec local[] = { { args, sizeof(*args) }, { (void *)calls, size } };
	struct iovec remote = { (void *)launch_args_addr(inject), sizeof(*args) + size };

	args->end_signal = end_signals[0];
	if (process_vm_writev(inject->pid, local, size ? 2 : 1, &remote, 1, 0) ==
	    (ssize_t)remote.iov_len)
		return 0;
	return errno == ESRCH ? -ESRCH
			      : compel_fail(-errno, "task %d: write our arguments", inject->pid);
}

static int launch_resume(pid_t tid)
{
	if (ptrace(PTRACE_CONT, tid, NULL, NULL) == 0)
		return 0;
	return errno == ESRCH ? -ESRCH : compel_fail(-errno, "task %d: resume", tid);
}

static int launch_start(struct compel_inject *inject, pid_t tid, uint64_t stack_end)
{
	uint64_t regs[ARCH_NR_REGS];
	int ret;

	memcpy(regs, inject->saved.regs, sizeof(regs));
	arch_set_call(regs, inject->area + batch_blob_entry, stack_end, launch_args_addr(inject));
	ret = compel_regs_set(tid, regs);
	if (!ret)
		ret = compel_mask_set(tid, signals_all & ~signal_bit(end_signals[0]));
	return ret ? ret : launch_resume(tid);
}

static int launch_is_done(struct compel_inject *inject, bool *done)
{
	struct launch_args args;
	int ret = compel_read(inject, launch_args_addr(inject), &args, sizeof(args));

	*done = !ret && args.state == LAUNCH_DONE;
	return ret;
}

/* In a stop for somebody else's signal: back with it, and on with another one of our own. */
static int launch_change_signal(struct compel_inject *inject, pid_t tid, int *index)
{
	uint32_t next;
	int status, ret;

	if (*index + 1 == END_SIGNALS)
		return compel_fail(-EBUSY, "task %d: has every signal pending that we could use",
				   tid);
	next = end_signals[*index + 1];
	ret = compel_requeue(tid, end_signals[*index], signals_all & ~signal_bit(next), &status);
	if (!ret)
		ret = compel_write(
			inject, launch_args_addr(inject) + offsetof(struct launch_args, end_signal),
			&next, sizeof(next));
	++*index;
	return ret;
}

/* is_limited: system calls of ours end soon; what a caller's blob does takes as long as it takes.
 */
static int launch_wait(struct compel_inject *inject, pid_t tid, bool is_limited)
{
	int index = 0;

	for (;;) {
		bool done = false;
		int status, ret;

		ret = is_limited ? compel_remote_wait(inject, tid, &status)
				 : compel_wait(tid, &status);
		if (!ret && WSTOPSIG(status) == (int)end_signals[index] &&
		    !status_is_event_stop(status)) {
			ret = launch_is_done(inject, &done);
			if (!ret && done)
				break;
			if (!ret)
				ret = launch_change_signal(inject, tid, &index);
		} else if (!ret) {
			ret = compel_stray_stop(inject, tid, status);
		}
		if (!ret)
			ret = launch_resume(tid);
		if (ret)
			return ret;
	}
	if (tid == inject->tid)
		inject->restart_stop = true;
	return 0;
}

/* What a thread in ctx does when the run ends and we are no more: what it would have done. */
static void launch_set_rest(struct launch_args *args, const struct compel_context *ctx)
{
	uint64_t regs[ARCH_NR_REGS];

	memcpy(regs, ctx->regs, sizeof(regs));
	if (arch_is_interrupted(regs))
		arch_emulate_restart(regs);
	arch_go_on_regs(regs, args->rest.regs);
	args->rest.mask = ctx->sigmask;
	args->rest.is_there = 1;
}

/* ---- batches ------------------------------------------------------------ */

static int batch_run(struct compel_inject *inject, pid_t tid, const struct compel_context *ctx,
		     struct compel_call *calls, size_t count)
{
	struct launch_args args = { .nr_calls = count };
	int ret;

	launch_set_rest(&args, ctx);
	ret = launch_write(inject, &args, calls);
	if (!ret)
		ret = launch_start(inject, tid,
				   launch_args_addr(inject) + AREA_LAUNCH + AREA_STACK);
	if (!ret)
		ret = launch_wait(inject, tid, true);
	if (!ret)
		ret = compel_read(inject, launch_args_addr(inject) + sizeof(args), calls,
				  count * sizeof(*calls));
	return ret;
}

static int batch_chunks(struct compel_inject *inject, pid_t tid, const struct compel_context *ctx,
			struct compel_call *calls, size_t count)
{
	while (count) {
		size_t n = count < BATCH_MAX ? count : BATCH_MAX;
		int ret = batch_run(inject, tid, ctx, calls, n);

		if (ret)
			return ret;
		calls += n;
		count -= n;
	}
	return 0;
}

static int batch_prepare(struct compel_inject *inject)
{
	uint64_t area;
	int ret;

	ret = compel_check_idle(inject);
	return ret ? ret : compel_area_get(inject, &area);
}

int compel_batch(struct compel_inject *inject, struct compel_call *calls, size_t count)
{
	int ret = batch_prepare(inject);

	if (!ret)
		ret = batch_chunks(inject, inject->tid, &inject->saved, calls, count);
	return ret ? ret : compel_rest(inject);
}

int compel_batch_in(struct compel_inject *inject, pid_t tid, struct compel_call *calls,
		    size_t count)
{
	struct compel_context *ctx;
	int ret, ret2;

	if (tid == inject->tid)
		return compel_batch(inject, calls, count);
	ret = batch_prepare(inject);
	if (ret)
		return ret;
	ctx = malloc(sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	ret = compel_context_get_regs(tid, ctx);
	if (!ret) {
		ret = batch_chunks(inject, tid, ctx, calls, count);
		ret2 = ret == -ESRCH ? ret : compel_regs_set(tid, ctx->regs);
		if (!ret2)
			ret2 = compel_mask_set(tid, ctx->sigmask);
		ret = ret ? ret : ret2;
	}
	free(ctx);
	return ret;
}

/* ---- a caller's blob ---------------------------------------------------- */

static size_t round_up(size_t size)
{
	return (size + 4095) & ~(size_t)4095;
}

static int blob_load(struct compel_inject *inject, const struct compel_blob *blob, size_t args_size)
{
	size_t code_len = round_up(blob->size), args_len = round_up(args_size ?: 1);
	uint64_t addr;
	int ret;

	if (!blob->size || blob->size > BLOB_MAX || blob->entry >= blob->size ||
	    args_size > BLOB_MAX)
		return compel_fail(-EINVAL, "a blob of %zu bytes with arguments of %zu", blob->size,
				   args_size);
	if (inject->blob_code == blob->code && args_len <= inject->blob_args_size)
		return 0;

	ret = map_code(inject, code_len, code_len + args_len + BLOB_STACK, &addr);
	if (!ret)
		ret = compel_write(inject, addr, blob->code, blob->size);
	if (ret)
		return ret;
	inject->blob_code = blob->code;
	inject->blob_addr = addr;
	inject->blob_args = addr + code_len;
	inject->blob_args_size = args_len;
	return 0;
}

int compel_server_start(struct compel_inject *inject, const struct compel_blob *blob,
			const void *args, size_t args_size)
{
	struct launch_args launch = { 0 };
	int ret;

	ret = batch_prepare(inject);
	if (!ret && !inject->fpu_saved) {
		/* Compiled code may use any register. */
		ret = compel_fpu_get(inject->tid, &inject->saved);
		inject->fpu_saved = !ret;
	}
	if (!ret)
		ret = blob_load(inject, blob, args_size);
	if (!ret && args_size)
		ret = compel_write(inject, inject->blob_args, args, args_size);
	if (ret)
		return ret;

	launch.fn = inject->blob_addr + blob->entry;
	launch.arg = inject->blob_args;
	ret = launch_write(inject, &launch, NULL);
	if (!ret)
		ret = launch_start(inject, inject->tid,
				   inject->blob_args + inject->blob_args_size + BLOB_STACK);
	inject->is_server_running = !ret;
	return ret;
}

int compel_server_wait(struct compel_inject *inject, int64_t *ret)
{
	struct launch_args launch;
	int err;

	if (!inject->is_server_running)
		return compel_fail(-EINVAL, "task %d: no server runs in it", inject->tid);
	err = launch_wait(inject, inject->tid, false);
	inject->is_server_running = false;
	if (!err)
		err = compel_rest(inject);
	if (!err)
		err = compel_read(inject, launch_args_addr(inject), &launch, sizeof(launch));
	if (!err)
		*ret = launch.ret;
	return err;
}

int compel_run(struct compel_inject *inject, const struct compel_blob *blob, void *args,
	       size_t args_size, int64_t *ret)
{
	int err;

	err = compel_server_start(inject, blob, args, args_size);
	if (!err)
		err = compel_server_wait(inject, ret);
	if (!err && args_size)
		err = compel_read(inject, inject->blob_args, args, args_size);
	return err;
}
