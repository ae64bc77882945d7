// SPDX-License-Identifier: GPL-2.0
/* What can be learnt about a task without running anything in it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "arch_regs.h"
#include "task/task_dump.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

#ifndef PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
#define PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211
#endif

/* A number in a file of one line; base 0 is never used: the kernel writes no prefixes. */
static int read_number(const struct task *task, const char *name, int base, struct text *text,
		       long long *out)
{
	char *end;
	int ret = text_read_at(task->dump->proc_fd, name, text);

	if (ret)
		return ret;
	*out = strtoll(text->data, &end, base);
	return end == text->data ? -EBADMSG : 0;
}

/* The file may be missing in this kernel; then *has is false. */
static int read_optional(const struct task *task, const char *name, int base, struct text *text,
			 uint32_t *out, bool *has)
{
	long long value;
	int ret = read_number(task, name, base, text, &value);

	*has = ret == 0;
	*out = *has ? (uint32_t)value : 0;
	if (ret && ret != -ENOENT)
		return log_ret(ret, "task %d: /proc/%d/%s", task->pid, task->host_pid, name);
	return 0;
}

static int read_timers(struct task *task, struct text *text)
{
	struct task_facts *facts = task_facts(task);
	scoped_free struct proc_timer *timers = NULL;
	int ret = text_read_at(task->dump->proc_fd, "timers", text);

	if (!ret)
		ret = proc_timers_parse(text->data, &timers, &facts->nr_timers);
	if (ret)
		return log_ret(ret, "task %d: POSIX timers", task->pid);
	if (!facts->nr_timers)
		return 0;
	facts->timers = calloc(facts->nr_timers, sizeof(*facts->timers));
	if (!facts->timers)
		return log_ret(-ENOMEM, "task %d: POSIX timers", task->pid);
	for (size_t i = 0; i < facts->nr_timers; i++)
		facts->timers[i].timer = timers[i];
	return 0;
}

static int read_process(struct task *task, struct text *text)
{
	struct task_facts *facts = task_facts(task);
	long long number;
	int ret;

	ret = text_read_at(task->dump->proc_fd, "limits", text);
	if (!ret)
		ret = proc_limits_parse(text->data, facts->limits);
	if (ret)
		return log_ret(ret, "task %d: /proc/%d/limits", task->pid, task->host_pid);
	ret = read_number(task, "oom_score_adj", 10, text, &number);
	if (ret)
		return log_ret(ret, "task %d: oom_score_adj", task->pid);
	facts->oom_score_adj = number;
	ret = read_number(task, "personality", 16, text, &number);
	if (ret)
		return log_ret(ret, "task %d: personality", task->pid);
	facts->personality = number;
	ret = read_optional(task, "loginuid", 10, text, &facts->loginuid, &facts->has_loginuid);
	if (!ret)
		ret = read_optional(task, "coredump_filter", 16, text, &facts->coredump_filter,
				    &facts->has_coredump_filter);
	if (!ret)
		ret = read_timers(task, text);
	return ret;
}

static int read_proc_files(struct task *task, const struct thread *thread, struct text *text)
{
	struct thread_facts *facts = thread_facts(thread);
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "task/%d/stat", thread->host_tid);
	ret = text_read_at(task->dump->proc_fd, path, text);
	if (!ret)
		ret = proc_stat_parse(text->data, &facts->stat);
	if (ret)
		return log_ret(ret, "task %d: /proc/%d/%s", task->pid, task->host_pid, path);
	snprintf(path, sizeof(path), "task/%d/status", thread->host_tid);
	ret = text_read_at(task->dump->proc_fd, path, text);
	if (!ret)
		ret = proc_status_parse(text->data, &facts->status);
	if (ret)
		return log_ret(ret, "task %d: /proc/%d/%s", task->pid, task->host_pid, path);
	return 0;
}

/* A thread whose system calls are sent to user space would not run ours. Linux 6.4 tells. */
static int refuse_syscall_dispatch(const struct thread *thread)
{
	struct {
		uint64_t mode, selector, offset, len;
	} conf = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, thread->host_tid, sizeof(conf), &conf) <
		    0 ||
	    !conf.mode)
		return 0;
	return log_ret(-EOPNOTSUPP,
		       "task %d: syscall user dispatch (prctl(2)) is on and not supported",
		       thread->host_tid);
}

static int read_registers(struct thread *thread)
{
	struct thread_facts *facts = thread_facts(thread);
	int ret = compel_context_get(thread->host_tid, &facts->context);

	if (ret)
		return log_ret(ret, "task %d: registers", thread->host_tid);
	if (arch_context_is_compat(&facts->context))
		return log_ret(-EOPNOTSUPP, "task %d: runs 32-bit code, which is not supported",
			       thread->host_tid);
	return rseq_dump_thread(thread, facts);
}

static int read_robust_list(struct thread *thread)
{
	struct thread_facts *facts = thread_facts(thread);
	void *head = NULL;
	size_t len = 0;

	if (syscall(SYS_get_robust_list, thread->host_tid, &head, &len))
		return log_errno("task %d: get_robust_list", thread->host_tid);
	facts->robust_list = (uintptr_t)head;
	facts->robust_list_len = len;
	return 0;
}

static int read_thread(struct task *task, struct thread *thread, struct seccomp_table *seccomp,
		       struct text *text)
{
	struct thread_facts *facts = thread_facts(thread);
	int ret;

	ret = read_proc_files(task, thread, text);
	if (!ret)
		ret = refuse_syscall_dispatch(thread);
	if (!ret)
		ret = read_registers(thread);
	if (!ret)
		ret = sched_dump_thread(thread, &facts->sched);
	if (!ret)
		ret = read_robust_list(thread);
	if (!ret && facts->status.has_pending)
		ret = signals_dump_queue(thread->host_tid, false, &facts->pending);
	if (!ret && facts->status.seccomp == SECCOMP_MODE_FILTER)
		ret = seccomp_dump_thread(seccomp, thread, &facts->seccomp_filter);
	return ret;
}

/* Thread ids of the innermost namespace: the last of NSpid. */
static void take_ids(struct task *task)
{
	const struct proc_status *status = &thread_facts(&task->threads[0])->status;

	task->pid = status->ns_tgid;
	task->pgid = status->ns_pgid;
	task->sid = status->ns_sid;
	task->ppid = task->parent ? task->parent->pid : 0;
	for (size_t i = 0; i < task->nr_threads; i++)
		task->threads[i].tid = thread_facts(&task->threads[i])->status.ns_pid;
}

static int read_zombie(struct task *task, struct text *text)
{
	struct task_facts *facts = task_facts(task);
	struct proc_status status;
	int ret = text_read_at(task->dump->proc_fd, "stat", text);

	if (!ret)
		ret = proc_stat_parse(text->data, &facts->stat);
	if (!ret)
		ret = text_read_at(task->dump->proc_fd, "status", text);
	if (!ret)
		ret = proc_status_parse(text->data, &status);
	if (ret)
		return log_ret(ret, "task %d: zombie", task->host_pid);
	task->pid = status.ns_tgid;
	task->pgid = status.ns_pgid;
	task->sid = status.ns_sid;
	task->ppid = task->parent ? task->parent->pid : 0;
	task->exit_code = facts->stat.exit_code;
	proc_status_free(&status);
	return 0;
}

static int alloc_facts(struct task *task)
{
	task->dump->priv = calloc(1, sizeof(struct task_facts));
	if (!task->dump->priv)
		return log_ret(-ENOMEM, "task %d", task->host_pid);
	for (size_t i = 0; i < task->nr_threads; i++) {
		task->threads[i].priv = calloc(1, sizeof(struct thread_facts));
		if (!task->threads[i].priv)
			return log_ret(-ENOMEM, "task %d: thread %d", task->host_pid,
				       task->threads[i].host_tid);
	}
	return 0;
}

int task_dump_outside(struct dump *dump, struct task *task, struct seccomp_table *seccomp)
{
	scoped_text struct text text = { 0 };
	struct task_facts *facts;
	bool has_pending = false;
	int ret = alloc_facts(task);

	if (ret)
		return ret;
	if (task->state == TASK_DEAD)
		return read_zombie(task, &text);

	for (size_t i = 0; i < task->nr_threads; i++) {
		ret = read_thread(task, &task->threads[i], seccomp, &text);
		if (ret)
			return ret;
		has_pending |= thread_facts(&task->threads[i])->status.has_pending;
	}
	take_ids(task);
	facts = task_facts(task);
	facts->stat = thread_facts(&task->threads[0])->stat;
	if (has_pending) {
		ret = signals_dump_queue(task->threads[0].host_tid, true, &facts->pending);
		if (ret)
			return ret;
	}
	return read_process(task, &text);
}

void task_dump_free(struct task *task)
{
	struct task_facts *facts;

	for (size_t i = 0; i < task->nr_threads; i++) {
		struct thread_facts *thread = thread_facts(&task->threads[i]);

		if (!thread)
			continue;
		proc_status_free(&thread->status);
		free(thread->sched.cpus);
		free(thread->pending.infos);
		free(thread);
		task->threads[i].priv = NULL;
	}
	facts = task->dump ? task_facts(task) : NULL;
	if (!facts)
		return;
	free(facts->pending.infos);
	free(facts->timers);
	free(facts);
	task->dump->priv = NULL;
}
