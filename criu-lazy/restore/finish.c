// SPDX-License-Identifier: GPL-2.0
/*
 * The last stage: every thread is parked in its blob. All are seized, the blobs are unmapped by a
 * remote call from the leader, contexts are set, and they are let go. Nothing of us is left in
 * them.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch_core.h"
#include "compel.h"
#include "restore/restore_task.h"
#include "task/task_restore.h"
#include "util/log.h"
#include "util/scope.h"

enum { RSEQ_CS_OFFSET = 8 };

typedef int (*thread_fn)(struct restore *restore, struct task *task, size_t index);

static int for_each_thread(struct restore *restore, thread_fn fn)
{
	struct task *task;

	tree_for_each (task, &restore->tree) {
		for (size_t i = 0; i < task->nr_threads && task->state != TASK_DEAD; i++) {
			int ret = fn(restore, task, i);

			if (ret)
				return ret;
		}
	}
	return 0;
}

static bool at_gate(const struct task *task, size_t index)
{
	return task_restore_has_seccomp(task->restore->cores[index]);
}

static int seize_at_gate(struct restore *restore, struct task *task, size_t index)
{
	pid_t tid = task->threads[index].host_tid;

	if (at_gate(task, index) &&
	    ptrace(PTRACE_SEIZE, tid, NULL, PTRACE_O_SUSPEND_SECCOMP | PTRACE_O_TRACESYSGOOD) < 0)
		return log_errno("task %d: thread %d: seize with seccomp suspended", task->pid,
				 tid);
	return 0;
}

int finish_open_gate(struct restore *restore)
{
	struct restorer_shared *shared = &restore->shared->blob;
	struct task *task;
	uint32_t waiting = 0;
	int ret;

	tree_for_each (task, &restore->tree) {
		for (size_t i = 0; i < task->nr_threads && task->state != TASK_DEAD; i++)
			waiting += at_gate(task, i);
	}
	if (!waiting)
		return 0;
	ret = shared_watch(restore, &shared->gated, waiting);
	if (!ret)
		ret = for_each_thread(restore, seize_at_gate);
	if (ret)
		return ret;
	__atomic_store_n(&shared->gate, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &shared->gate, 1 /* FUTEX_WAKE */, INT32_MAX, NULL, NULL, 0);
	return 0;
}

static int seize_begin(struct restore *restore, struct task *task, size_t index)
{
	pid_t tid = task->threads[index].host_tid;
	int ret;

	if (at_gate(task, index)) /* seized before */
		return ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0
			       ? log_errno("task %d: thread %d: interrupt", task->pid, tid)
			       : 0;
	ret = compel_seize_begin(tid);
	return ret ? log_ret(ret, "task %d: thread %d: seize", task->pid, tid) : 0;
}

static int seize_wait(struct restore *restore, struct task *task, size_t index)
{
	pid_t tid = task->threads[index].host_tid;
	struct compel_stop stop;
	int ret = compel_seize_wait(tid, &stop);

	return ret ? log_ret(ret, "task %d: thread %d: seize", task->pid, tid) : 0;
}

/* A critical section the thread was in: the kernel has cleared the pointer at registration. */
static int set_rseq_cs(struct task *task, const RseqEntry *rseq)
{
	uint64_t value = rseq->rseq_cs_pointer;
	struct iovec local = { &value, sizeof(value) };
	struct iovec remote = { (void *)(uintptr_t)(rseq->rseq_abi_pointer + RSEQ_CS_OFFSET),
				sizeof(value) };

	if (process_vm_writev(task->host_pid, &local, 1, &remote, 1, 0) != sizeof(value))
		return log_errno("task %d: rseq critical section", task->pid);
	return 0;
}

static int set_context(struct restore *restore, struct task *task, size_t index)
{
	const CoreEntry *core = task->restore->cores[index];
	const ThreadCoreEntry *thread = core->thread_core;
	scoped_free struct compel_context *ctx = aligned_alloc(64, sizeof(*ctx));
	pid_t tid = task->threads[index].host_tid;
	int ret;

	if (!ctx)
		return -ENOMEM;
	ret = arch_core_to_context(core, ctx);
	if (ret)
		return log_ret(ret, "task %d: thread %d: registers of core image", task->pid, tid);
	if (thread->has_blk_sigset)
		ctx->sigmask = thread->blk_sigset;
	else
		ctx->sigmask = core->tc ? core->tc->blk_sigset : 0;
	ret = compel_context_set(tid, ctx);
	if (ret)
		return log_ret(ret, "task %d: thread %d: set registers", task->pid, tid);
	if (thread->rseq_entry && thread->rseq_entry->has_rseq_cs_pointer &&
	    thread->rseq_entry->rseq_cs_pointer)
		return set_rseq_cs(task, thread->rseq_entry);
	return 0;
}

static int unmap_blob(struct restore *restore, struct task *task)
{
	const struct shared_task *shared = &restore->shared->tasks[task->restore->index];
	const uint64_t args[6] = { shared->region, shared->region_len };
	struct compel_inject *inject = NULL;
	int64_t result = 0;
	int ret = compel_inject_begin(task->host_pid, task->host_pid, &inject);

	if (!ret)
		ret = compel_syscall(inject, SYS_munmap, args, &result);
	if (!ret && result)
		ret = (int)result;
	if (inject) {
		int end = compel_inject_end(&inject);

		ret = ret ? ret : end;
	}
	return ret ? log_ret(ret, "task %d: unmap the restorer", task->pid) : 0;
}

static int let_go(struct restore *restore, struct task *task, size_t index)
{
	pid_t tid = task->threads[index].host_tid;
	int ret = compel_detach(tid);

	/* Threads that run already may have ended this one. */
	return ret && ret != -ESRCH ? log_ret(ret, "task %d: thread %d: detach", task->pid, tid)
				    : 0;
}

int finish_seize(struct restore *restore)
{
	struct task *task;
	int ret = for_each_thread(restore, seize_begin);

	if (!ret)
		ret = for_each_thread(restore, seize_wait);
	tree_for_each (task, &restore->tree) {
		if (!ret && task->state != TASK_DEAD)
			ret = unmap_blob(restore, task);
	}
	return ret ? ret : for_each_thread(restore, set_context);
}

int finish_release(struct restore *restore)
{
	struct task *task;

	tree_for_each (task, &restore->tree) {
		if (task->state == TASK_STOPPED && kill(task->host_pid, task->stop_signal) < 0)
			return log_errno("task %d: stop it again", task->pid);
	}
	return for_each_thread(restore, let_go);
}
