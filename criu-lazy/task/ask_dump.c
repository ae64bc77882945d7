// SPDX-License-Identifier: GPL-2.0
/*
 * What only the task can say: signal actions, interval timers, prctl getters.
 * One injection per task; each thread runs one list of system calls whose
 * results land in scratch memory, which is then read in one go.
 */
#include <linux/membarrier.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "task/task_dump.h"
#include "util/log.h"
#include "util/scope.h"

#ifndef PR_GET_MDWE
#define PR_GET_MDWE 66
#endif
#ifndef PR_GET_MEMORY_MERGE
#define PR_GET_MEMORY_MERGE 68
#endif
/* 6.3; an enumerator in newer headers, so it cannot be asked for with #ifdef. */
enum { MEMBARRIER_GET_REGISTRATIONS = 1 << 9 };

enum { TIMERS_AT_ONCE = 128 };

/* Scratch memory of the task, and of each of its threads in turn. */
struct task_answers {
	struct kernel_sigaction actions[FACTS_NSIG + 1];
	struct itimerval itimers[3];
	uint64_t is_subreaper; /* the kernel writes an int */
};

struct thread_answers {
	stack_t sigaltstack;
	uint64_t pdeath_signal; /* an int is written */
	uint64_t clear_tid;
};

struct timer_answers {
	struct itimerspec values[TIMERS_AT_ONCE];
};

/* A list of calls being written; `at` is the remote address of the answers. */
struct call_list {
	struct compel_call calls[FACTS_NSIG + 32];
	size_t count;
	uint64_t at;
};

#define PUT(list, nr_, ...)               \
	((list)->calls[(list)->count++] = \
		 (struct compel_call){ .nr = (nr_), .args = { __VA_ARGS__ } })
#define FIELD(list, type, field) ((list)->at + offsetof(struct type, field))

static int scratch_for(struct task *task, size_t size, uint64_t *addr)
{
	size_t have;
	int ret = compel_scratch(task->dump->inject, addr, &have);

	if (ret)
		return log_ret(ret, "task %d: scratch memory", task->pid);
	return have < size ? log_ret(-ENOSPC, "task %d: scratch memory", task->pid) : 0;
}

static int read_answers(struct task *task, uint64_t addr, void *buf, size_t len)
{
	int ret = compel_read(task->dump->inject, addr, buf, len);

	return ret ? log_ret(ret, "task %d: read answers", task->pid) : 0;
}

enum process_call { /* calls[] after the signal actions, in this order */
		    ASK_ITIMER_REAL,
		    ASK_ITIMER_VIRTUAL,
		    ASK_ITIMER_PROF,
		    ASK_SUBREAPER,
		    ASK_DUMPABLE,
		    ASK_BRK,
		    ASK_REQUIRED, /* the ones before must succeed */
		    ASK_THP = ASK_REQUIRED,
		    ASK_MEMBARRIER,
		    ASK_MDWE,
		    ASK_MEMORY_MERGE,
};

static void put_process_calls(struct call_list *list)
{
	for (int sig = 1; sig <= FACTS_NSIG; sig++)
		PUT(list, SYS_rt_sigaction, sig, 0,
		    FIELD(list, task_answers, actions) + sig * sizeof(struct kernel_sigaction), 8);
	for (int i = 0; i < 3; i++)
		PUT(list, SYS_getitimer, i,
		    FIELD(list, task_answers, itimers) + i * sizeof(struct itimerval));
	PUT(list, SYS_prctl, PR_GET_CHILD_SUBREAPER, FIELD(list, task_answers, is_subreaper));
	PUT(list, SYS_prctl, PR_GET_DUMPABLE);
	PUT(list, SYS_brk, 0);
	PUT(list, SYS_prctl, PR_GET_THP_DISABLE);
	PUT(list, SYS_membarrier, MEMBARRIER_GET_REGISTRATIONS);
	PUT(list, SYS_prctl, PR_GET_MDWE);
	PUT(list, SYS_prctl, PR_GET_MEMORY_MERGE);
}

static int take_process_answers(struct task *task, const struct call_list *list,
				const struct task_answers *answers)
{
	struct task_facts *facts = task_facts(task);
	const struct compel_call *own = list->calls + FACTS_NSIG;

	for (size_t i = 0; i < FACTS_NSIG + ASK_REQUIRED; i++) {
		if (list->calls[i].ret < 0)
			return log_ret(list->calls[i].ret,
				       "task %d: injected system call %llu(%llu)", task->pid,
				       (unsigned long long)list->calls[i].nr,
				       (unsigned long long)list->calls[i].args[0]);
	}
	memcpy(facts->actions, answers->actions, sizeof(facts->actions));
	memcpy(facts->itimers, answers->itimers, sizeof(facts->itimers));
	facts->is_subreaper = (int)answers->is_subreaper != 0;
	facts->mem.dumpable = own[ASK_DUMPABLE].ret;
	facts->mem.brk = own[ASK_BRK].ret;
	facts->mem.thp_disabled = own[ASK_THP].ret > 0;
	facts->membarrier = own[ASK_MEMBARRIER].ret > 0 ? own[ASK_MEMBARRIER].ret : 0;
	facts->mdwe = own[ASK_MDWE].ret > 0 ? own[ASK_MDWE].ret : 0;
	facts->memory_merge = own[ASK_MEMORY_MERGE].ret > 0;
	return 0;
}

static int ask_process(struct task *task)
{
	scoped_free struct call_list *list = calloc(1, sizeof(*list));
	struct task_answers answers;
	int ret;

	if (!list)
		return log_ret(-ENOMEM, "task %d: injected calls", task->pid);
	ret = scratch_for(task, sizeof(answers), &list->at);
	if (ret)
		return ret;
	put_process_calls(list);
	ret = compel_batch(task->dump->inject, list->calls, list->count);
	if (ret)
		return log_ret(ret, "task %d: injected calls", task->pid);
	ret = read_answers(task, list->at, &answers, sizeof(answers));
	return ret ? ret : take_process_answers(task, list, &answers);
}

static int ask_some_timers(struct task *task, struct timer_facts *timers, size_t count)
{
	struct compel_call calls[2 * TIMERS_AT_ONCE] = { 0 };
	struct timer_answers answers;
	uint64_t at;
	int ret = scratch_for(task, sizeof(answers), &at);

	if (ret)
		return ret;
	for (size_t i = 0; i < count; i++) {
		uint64_t id = timers[i].timer.id;

		calls[2 * i].nr = SYS_timer_gettime;
		calls[2 * i].args[0] = id;
		calls[2 * i].args[1] = at + i * sizeof(answers.values[0]);
		calls[2 * i + 1].nr = SYS_timer_getoverrun;
		calls[2 * i + 1].args[0] = id;
	}
	ret = compel_batch(task->dump->inject, calls, 2 * count);
	if (ret)
		return log_ret(ret, "task %d: POSIX timers", task->pid);
	ret = read_answers(task, at, &answers, count * sizeof(answers.values[0]));
	for (size_t i = 0; !ret && i < count; i++) {
		if (calls[2 * i].ret < 0 || calls[2 * i + 1].ret < 0)
			return log_ret(calls[2 * i].ret < 0 ? calls[2 * i].ret
							    : calls[2 * i + 1].ret,
				       "task %d: POSIX timer %d", task->pid, timers[i].timer.id);
		timers[i].value = answers.values[i];
		timers[i].overrun = calls[2 * i + 1].ret;
	}
	return ret;
}

static int ask_timers(struct task *task)
{
	struct task_facts *facts = task_facts(task);

	for (size_t done = 0; done < facts->nr_timers;) {
		size_t count = facts->nr_timers - done;
		int ret;

		if (count > TIMERS_AT_ONCE)
			count = TIMERS_AT_ONCE;
		ret = ask_some_timers(task, facts->timers + done, count);
		if (ret)
			return ret;
		done += count;
	}
	return 0;
}

enum thread_call {
	ASK_SIGALTSTACK,
	ASK_PDEATHSIG,
	ASK_SECUREBITS,
	ASK_TIMERSLACK,
	ASK_TID_ADDRESS,
	ASK_THREAD_REQUIRED,
	ASK_IO_FLUSHER = ASK_THREAD_REQUIRED,
};

static int ask_thread(struct task *task, struct thread *thread)
{
	struct thread_facts *facts = thread_facts(thread);
	struct thread_answers answers;
	struct call_list list = { .count = 0 };
	int ret = scratch_for(task, sizeof(answers), &list.at);

	if (ret)
		return ret;
	PUT(&list, SYS_sigaltstack, 0, FIELD(&list, thread_answers, sigaltstack));
	PUT(&list, SYS_prctl, PR_GET_PDEATHSIG, FIELD(&list, thread_answers, pdeath_signal));
	PUT(&list, SYS_prctl, PR_GET_SECUREBITS);
	PUT(&list, SYS_prctl, PR_GET_TIMERSLACK);
	PUT(&list, SYS_prctl, PR_GET_TID_ADDRESS, FIELD(&list, thread_answers, clear_tid));
	PUT(&list, SYS_prctl, PR_GET_IO_FLUSHER);
	ret = compel_batch_in(task->dump->inject, thread->host_tid, list.calls, list.count);
	if (ret)
		return log_ret(ret, "task %d: injected calls", thread->host_tid);
	ret = read_answers(task, list.at, &answers, sizeof(answers));
	if (ret)
		return ret;
	for (size_t i = 0; i < ASK_THREAD_REQUIRED; i++) {
		if (list.calls[i].ret < 0)
			return log_ret(list.calls[i].ret,
				       "task %d: injected system call %llu(%llu)", thread->host_tid,
				       (unsigned long long)list.calls[i].nr,
				       (unsigned long long)list.calls[i].args[0]);
	}
	facts->sigaltstack = answers.sigaltstack;
	facts->pdeath_signal = (int)answers.pdeath_signal;
	facts->securebits = list.calls[ASK_SECUREBITS].ret;
	facts->timer_slack = list.calls[ASK_TIMERSLACK].ret;
	facts->clear_tid = answers.clear_tid;
	facts->io_flusher = list.calls[ASK_IO_FLUSHER].ret > 0;
	return 0;
}

static int ask_all(struct task *task)
{
	int ret = ask_process(task);

	if (!ret)
		ret = ask_timers(task);
	for (size_t i = 0; !ret && i < task->nr_threads; i++)
		ret = ask_thread(task, &task->threads[i]);
	return ret;
}

int task_dump_ask(struct task *task)
{
	int ret, end;

	ret = compel_inject_begin(task->host_pid, task->threads[0].host_tid, &task->dump->inject);
	if (ret)
		return log_ret(ret, "task %d: inject", task->pid);
	ret = ask_all(task);
	end = compel_inject_end(&task->dump->inject);
	task->dump->inject = NULL;
	if (end)
		return log_ret(end, "task %d: leave the task as it was", task->pid);
	return ret;
}
