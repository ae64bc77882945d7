// SPDX-License-Identifier: GPL-2.0
/* core-*.img of a task: the leader's has the task's part too, a zombie's nothing else. */
#include <linux/seccomp.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>

#include "arch_core.h"
#include "arch_regs.h"
#include "task/core_parts.h"
#include "task/task_dump.h"
#include "util/log.h"

enum { OUR_CGROUP_SET = 1 };

/* The parts of one thread's message. */
struct thread_part {
	ThreadCoreEntry entry;
	ThreadSasEntry sas;
	RseqEntry rseq;
	struct creds_part creds;
	struct queue_part pending;
};

static void thread_part_fini(struct thread_part *part)
{
	queue_part_fini(&part->pending);
}

struct task_part {
	TaskCoreEntry entry;
	struct actions_part actions;
	struct limits_part limits;
	struct timers_part timers;
	struct queue_part pending;
};

static void task_part_fini(struct task_part *part)
{
	queue_part_fini(&part->pending);
	timers_part_fini(&part->timers);
}

static void put_sched(const struct thread_facts *facts, ThreadCoreEntry *entry)
{
	entry->has_sched_nice = true;
	entry->sched_nice = facts->stat.nice;
	entry->has_sched_policy = true;
	entry->sched_policy = facts->sched.policy;
	entry->has_sched_prio = facts->sched.priority != 0;
	entry->sched_prio = facts->sched.priority;
}

static void put_seccomp(const struct thread_facts *facts, ThreadCoreEntry *entry)
{
	if (facts->status.seccomp == SECCOMP_MODE_DISABLED)
		return;
	entry->has_seccomp_mode = true;
	entry->seccomp_mode = facts->status.seccomp;
	entry->has_seccomp_filter = facts->status.seccomp == SECCOMP_MODE_FILTER;
	entry->seccomp_filter = facts->seccomp_filter;
}

static void put_rseq(const struct thread_facts *facts, struct thread_part *part)
{
	if (!facts->rseq.address)
		return;
	rseq_entry__init(&part->rseq);
	part->rseq.rseq_abi_pointer = facts->rseq.address;
	part->rseq.rseq_abi_size = facts->rseq.size;
	part->rseq.signature = facts->rseq.signature;
	part->entry.rseq_entry = &part->rseq;
}

static int fill_thread(const struct thread_facts *facts, bool is_leader, struct thread_part *part)
{
	ThreadCoreEntry *entry = &part->entry;
	int ret;

	thread_core_entry__init(entry);
	entry->futex_rla = facts->robust_list;
	entry->futex_rla_len = facts->robust_list_len;
	put_sched(facts, entry);
	entry->has_blk_sigset = !is_leader;
	entry->blk_sigset = facts->context.sigmask;

	thread_sas_entry__init(&part->sas);
	part->sas.ss_sp = (uintptr_t)facts->sigaltstack.ss_sp;
	part->sas.ss_size = facts->sigaltstack.ss_size;
	part->sas.ss_flags = facts->sigaltstack.ss_flags;
	entry->sas = &part->sas;

	entry->has_pdeath_sig = facts->pdeath_signal != 0;
	entry->pdeath_sig = facts->pdeath_signal;
	ret = queue_dump_part(&facts->pending, &part->pending);
	if (ret)
		return ret;
	entry->signals_p = &part->pending.entry;
	creds_dump_part(facts, &part->creds);
	entry->creds = &part->creds.entry;
	put_seccomp(facts, entry);
	entry->comm = (char *)facts->stat.comm;
	put_rseq(facts, part);
	entry->has_cg_set = true;
	entry->cg_set = OUR_CGROUP_SET;
	return 0;
}

static void fill_task_base(const struct task *task, TaskCoreEntry *entry)
{
	const struct task_facts *facts = task_facts(task);

	task_core_entry__init(entry);
	entry->task_state = task->state;
	entry->exit_code = task->exit_code;
	entry->personality = facts->personality;
	entry->comm = (char *)facts->stat.comm;
	if (task->state != TASK_DEAD)
		entry->flags = facts->stat.flags;
}

static int fill_task(const struct task *task, struct task_part *part)
{
	const struct task_facts *facts = task_facts(task);
	TaskCoreEntry *entry = &part->entry;
	int ret;

	fill_task_base(task, entry);
	entry->blk_sigset = thread_facts(&task->threads[0])->context.sigmask;
	ret = timers_dump_part(task, &part->timers);
	if (!ret)
		ret = queue_dump_part(&facts->pending, &part->pending);
	if (ret)
		return ret;
	entry->timers = &part->timers.entry;
	entry->signals_s = &part->pending.entry;
	limits_dump_part(facts, &part->limits);
	entry->rlimits = &part->limits.entry;
	actions_dump_part(facts, &part->actions);
	entry->n_sigactions = part->actions.count;
	entry->sigactions = part->actions.pointers;
	entry->has_loginuid = facts->has_loginuid;
	entry->loginuid = facts->loginuid;
	entry->has_oom_score_adj = true;
	entry->oom_score_adj = facts->oom_score_adj;
	entry->has_child_subreaper = true;
	entry->child_subreaper = facts->is_subreaper;
	entry->has_stop_signo = task->state == TASK_STOPPED;
	entry->stop_signo = task->stop_signal;
	entry->has_membarrier_registration_mask = facts->membarrier != 0;
	entry->membarrier_registration_mask = facts->membarrier;
	return 0;
}

/* Which pending signal the thread would take first: the lowest number that is not blocked. */
static int first_deliverable(const struct thread_facts *thread, const struct task_facts *task)
{
	const struct signal_queue *const queues[] = { &thread->pending, &task->pending };
	int first = 0;

	for (size_t q = 0; q < 2; q++) {
		for (size_t i = 0; i < queues[q]->count; i++) {
			int sig = queues[q]->infos[i].si_signo;

			if (sig < 1 || sig > FACTS_NSIG || task->actions[sig].handler <= 1 ||
			    thread->context.sigmask >> (sig - 1) & 1)
				continue;
			if (!first || sig < first)
				first = sig;
		}
	}
	return first;
}

static enum arch_pending pending_kind(const struct thread_facts *thread,
				      const struct task_facts *task)
{
	int sig = first_deliverable(thread, task);

	if (!sig)
		return ARCH_PENDING_NONE;
	return task->actions[sig].flags & SA_RESTART ? ARCH_PENDING_RESTART : ARCH_PENDING_HANDLER;
}

/* The registers are malloc'ed by arch/; the parts are not, and are taken out again. */
static int write_core(struct dump *dump, const struct task *task, const struct thread *thread,
		      struct thread_part *part, TaskCoreEntry *tc)
{
	struct thread_facts *facts = thread_facts(thread);
	CoreEntry *core = malloc(sizeof(*core));
	int ret;

	if (!core)
		return log_ret(-ENOMEM, "task %d: core", thread->tid);
	core_entry__init(core);
	arch_context_fix_restart(&facts->context, thread->host_tid,
				 pending_kind(facts, task_facts(task)));
	ret = arch_core_from_context(&facts->context, core);
	if (!ret)
		ret = arch_core_set_clear_tid(core, facts->clear_tid);
	if (ret) {
		log_err("task %d: registers cannot be stored", thread->tid);
	} else {
		core->thread_core = &part->entry;
		core->tc = tc;
		ret = image_write_one(dump->images, IMG_CORE, thread->tid, &core->base);
	}
	core->thread_core = NULL;
	core->tc = NULL;
	core_entry__free_unpacked(core, NULL);
	return ret;
}

static int dump_thread(struct dump *dump, const struct task *task, const struct thread *thread,
		       TaskCoreEntry *tc)
{
	struct thread_part part;
	int ret;

	memset(&part, 0, sizeof(part));
	ret = fill_thread(thread_facts(thread), tc != NULL, &part);
	if (!ret)
		ret = write_core(dump, task, thread, &part, tc);
	thread_part_fini(&part);
	return ret;
}

static int dump_leader(struct dump *dump, const struct task *task)
{
	struct task_part part;
	int ret;

	memset(&part, 0, sizeof(part));
	ret = fill_task(task, &part);
	if (!ret)
		ret = dump_thread(dump, task, &task->threads[0], &part.entry);
	task_part_fini(&part);
	return ret;
}

static int dump_zombie(struct dump *dump, const struct task *task)
{
	TaskCoreEntry tc;
	CoreEntry core = CORE_ENTRY__INIT;

	fill_task_base(task, &tc);
	core.mtype = ARCH_CORE_MARCH;
	core.tc = &tc;
	return image_write_one(dump->images, IMG_CORE, task->pid, &core.base);
}

int core_dump_task(struct dump *dump, const struct task *task)
{
	int ret;

	if (task->state == TASK_DEAD)
		return dump_zombie(dump, task);
	ret = dump_leader(dump, task);
	for (size_t i = 1; !ret && i < task->nr_threads; i++)
		ret = dump_thread(dump, task, &task->threads[i], NULL);
	return ret;
}
