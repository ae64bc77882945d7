// SPDX-License-Identifier: GPL-2.0
/* From facts to the messages of core-*.img. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "task/core_parts.h"
#include "task/facts.h"
#include "util/log.h"

static void put_caps(uint32_t words[2], uint64_t caps, size_t *count, uint32_t **array)
{
	words[0] = (uint32_t)caps;
	words[1] = (uint32_t)(caps >> 32);
	*array = words;
	*count = 2;
}

void creds_dump_part(const struct thread_facts *facts, struct creds_part *part)
{
	const struct proc_status *status = &facts->status;
	CredsEntry *entry = &part->entry;

	creds_entry__init(entry);
	entry->uid = status->uid[0];
	entry->euid = status->uid[1];
	entry->suid = status->uid[2];
	entry->fsuid = status->uid[3];
	entry->gid = status->gid[0];
	entry->egid = status->gid[1];
	entry->sgid = status->gid[2];
	entry->fsgid = status->gid[3];
	put_caps(part->caps[0], status->cap_inh, &entry->n_cap_inh, &entry->cap_inh);
	put_caps(part->caps[1], status->cap_prm, &entry->n_cap_prm, &entry->cap_prm);
	put_caps(part->caps[2], status->cap_eff, &entry->n_cap_eff, &entry->cap_eff);
	put_caps(part->caps[3], status->cap_bnd, &entry->n_cap_bnd, &entry->cap_bnd);
	put_caps(part->caps[4], status->cap_amb, &entry->n_cap_amb, &entry->cap_amb);
	entry->secbits = facts->securebits;
	entry->n_groups = status->nr_groups;
	entry->groups = status->groups;
	entry->has_no_new_privs = status->no_new_privs;
	entry->no_new_privs = status->no_new_privs;
}

int queue_dump_part(const struct signal_queue *queue, struct queue_part *part)
{
	signal_queue_entry__init(&part->entry);
	if (!queue->count)
		return 0;
	part->infos = calloc(queue->count, sizeof(*part->infos));
	part->pointers = calloc(queue->count, sizeof(*part->pointers));
	if (!part->infos || !part->pointers)
		return log_ret(-ENOMEM, "pending signals");
	for (size_t i = 0; i < queue->count; i++) {
		siginfo_entry__init(&part->infos[i]);
		part->infos[i].siginfo.data = (uint8_t *)&queue->infos[i];
		part->infos[i].siginfo.len = sizeof(queue->infos[i]);
		part->pointers[i] = &part->infos[i];
	}
	part->entry.n_signals = queue->count;
	part->entry.signals = part->pointers;
	return 0;
}

void queue_part_fini(struct queue_part *part)
{
	free(part->infos);
	free(part->pointers);
}

/* All but the two that cannot be changed, in order of number. */
void actions_dump_part(const struct task_facts *facts, struct actions_part *part)
{
	part->count = 0;
	for (int sig = 1; sig <= FACTS_NSIG; sig++) {
		const struct kernel_sigaction *action = &facts->actions[sig];
		SaEntry *entry = &part->entries[part->count];

		if (sig == SIGKILL || sig == SIGSTOP)
			continue;
		sa_entry__init(entry);
		entry->sigaction = action->handler;
		entry->flags = action->flags;
		entry->restorer = action->restorer;
		entry->mask = action->mask;
		entry->has_compat_sigaction = true;
		part->pointers[part->count++] = entry;
	}
}

void limits_dump_part(const struct task_facts *facts, struct limits_part *part)
{
	task_rlimits_entry__init(&part->entry);
	for (size_t i = 0; i < PROC_RLIMITS; i++) {
		rlimit_entry__init(&part->entries[i]);
		part->entries[i].cur = facts->limits[i].cur;
		part->entries[i].max = facts->limits[i].max;
		part->pointers[i] = &part->entries[i];
	}
	part->entry.n_rlimits = PROC_RLIMITS;
	part->entry.rlimits = part->pointers;
}

static void put_itimer(const struct itimerval *timer, ItimerEntry *entry)
{
	itimer_entry__init(entry);
	entry->isec = timer->it_interval.tv_sec;
	entry->iusec = timer->it_interval.tv_usec;
	entry->vsec = timer->it_value.tv_sec;
	entry->vusec = timer->it_value.tv_usec;
}

static int put_posix_timer(const struct task *task, const struct timer_facts *facts,
			   PosixTimerEntry *entry)
{
	const struct proc_timer *timer = &facts->timer;

	posix_timer_entry__init(entry);
	entry->it_id = timer->id;
	entry->clock_id = timer->clock;
	entry->si_signo = timer->signal;
	entry->it_sigev_notify = timer->notify;
	entry->sival_ptr = timer->sigval;
	entry->overrun = facts->overrun;
	entry->isec = facts->value.it_interval.tv_sec;
	entry->insec = facts->value.it_interval.tv_nsec;
	entry->vsec = facts->value.it_value.tv_sec;
	entry->vnsec = facts->value.it_value.tv_nsec;
	if (!(timer->notify & SIGEV_THREAD_ID))
		return 0;
	for (size_t i = 0; i < task->nr_threads; i++) {
		if (task->threads[i].host_tid == timer->target) {
			entry->has_notify_thread_id = true;
			entry->notify_thread_id = task->threads[i].tid;
			return 0;
		}
	}
	return log_ret(-EOPNOTSUPP, "task %d: POSIX timer %d signals thread %d, which is gone",
		       task->pid, timer->id, timer->target);
}

int timers_dump_part(const struct task *task, struct timers_part *part)
{
	const struct task_facts *facts = task_facts(task);

	task_timers_entry__init(&part->entry);
	for (int i = 0; i < 3; i++)
		put_itimer(&facts->itimers[i], &part->itimers[i]);
	part->entry.real = &part->itimers[ITIMER_REAL];
	part->entry.virt = &part->itimers[ITIMER_VIRTUAL];
	part->entry.prof = &part->itimers[ITIMER_PROF];
	if (!facts->nr_timers)
		return 0;
	part->posix = calloc(facts->nr_timers, sizeof(*part->posix));
	part->pointers = calloc(facts->nr_timers, sizeof(*part->pointers));
	if (!part->posix || !part->pointers)
		return log_ret(-ENOMEM, "task %d: POSIX timers", task->pid);
	for (size_t i = 0; i < facts->nr_timers; i++) {
		int ret = put_posix_timer(task, &facts->timers[i], &part->posix[i]);

		if (ret)
			return ret;
		part->pointers[i] = &part->posix[i];
	}
	part->entry.n_posix = facts->nr_timers;
	part->entry.posix = part->pointers;
	return 0;
}

void timers_part_fini(struct timers_part *part)
{
	free(part->posix);
	free(part->pointers);
}
