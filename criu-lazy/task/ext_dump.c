// SPDX-License-Identifier: GPL-2.0
/* task-ext-PID.img: what the common format has no field for. */
#include "task-ext.pb-c.h"
#include "task/task_dump.h"
#include "util/log.h"
#include "util/scope.h"

enum { POLICY_DEADLINE = 6 };

static void fill_thread(const struct thread *thread, ThreadExtEntry *entry)
{
	const struct thread_facts *facts = thread_facts(thread);
	const struct sched_facts *sched = &facts->sched;

	thread_ext_entry__init(entry);
	entry->tid = thread->tid;
	entry->has_cpus_allowed = true;
	entry->cpus_allowed.data = sched->cpus;
	entry->cpus_allowed.len = sched->cpus_size;
	entry->has_timer_slack = facts->timer_slack != 0;
	entry->timer_slack = facts->timer_slack;
	entry->has_io_priority = true;
	entry->io_priority = sched->io_priority;
	entry->has_sched_flags = sched->flags != 0;
	entry->sched_flags = sched->flags;
	entry->has_sched_runtime = sched->policy == POLICY_DEADLINE;
	entry->sched_runtime = sched->runtime;
	entry->has_sched_deadline = sched->policy == POLICY_DEADLINE;
	entry->sched_deadline = sched->deadline;
	entry->has_sched_period = sched->policy == POLICY_DEADLINE;
	entry->sched_period = sched->period;
	entry->has_sched_util_min = sched->util_min != 0;
	entry->sched_util_min = sched->util_min;
	entry->has_sched_util_max = sched->util_max != 0;
	entry->sched_util_max = sched->util_max;
	entry->has_io_flusher = facts->io_flusher;
	entry->io_flusher = facts->io_flusher;
}

int ext_dump_task(struct dump *dump, const struct task *task)
{
	const struct task_facts *facts = task_facts(task);
	scoped_free ThreadExtEntry *threads = calloc(task->nr_threads, sizeof(*threads));
	scoped_free ThreadExtEntry **pointers = calloc(task->nr_threads, sizeof(*pointers));
	TaskExtEntry entry = TASK_EXT_ENTRY__INIT;

	if (!threads || !pointers)
		return log_ret(-ENOMEM, "task %d: extensions", task->pid);
	for (size_t i = 0; i < task->nr_threads; i++) {
		fill_thread(&task->threads[i], &threads[i]);
		pointers[i] = &threads[i];
	}
	entry.n_threads = task->nr_threads;
	entry.threads = pointers;
	entry.has_coredump_filter = facts->has_coredump_filter;
	entry.coredump_filter = facts->coredump_filter;
	entry.has_mdwe = facts->mdwe != 0;
	entry.mdwe = facts->mdwe;
	entry.has_memory_merge = facts->memory_merge;
	entry.memory_merge = facts->memory_merge;
	return image_write_one(dump->images, IMG_TASK_EXT, task->pid, &entry.base);
}
