// SPDX-License-Identifier: GPL-2.0
/* task-ext-PID.img (ours): what the common format has no field for. */
#include <linux/prctl.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "task-ext.pb-c.h"
#include "task/task_restore.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif
#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

enum { IOPRIO_WHO_THREAD = 1, POLICY_DEADLINE = 6, CPU_MASK_MAX = 8192 };

/* struct sched_attr, sched_setattr(2). */
struct kernel_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

_Static_assert(sizeof(struct kernel_sched_attr) == 56, "sched_attr is ABI");

static const ThreadExtEntry *find_thread(const TaskExtEntry *ext, pid_t tid)
{
	for (size_t i = 0; ext && i < ext->n_threads; i++) {
		if (ext->threads[i]->tid == (uint32_t)tid)
			return ext->threads[i];
	}
	return NULL;
}

/* Only where it differs: a mask beyond what our own cpuset allows would be refused. */
static void add_affinity(struct compose *compose, struct calls *calls, const ThreadExtEntry *ext)
{
	uint8_t now[CPU_MASK_MAX / 8] = { 0 }, wanted[CPU_MASK_MAX / 8] = { 0 };
	long len = syscall(SYS_sched_getaffinity, 0, sizeof(now), now);

	if (!ext->has_cpus_allowed || len <= 0 || ext->cpus_allowed.len > sizeof(wanted))
		return;
	memcpy(wanted, ext->cpus_allowed.data, ext->cpus_allowed.len);
	if (memcmp(now, wanted, sizeof(now)))
		calls_must(calls, RESTORER_WHAT_SCHED, SYS_sched_setaffinity, 0,
			   ext->cpus_allowed.len,
			   region_copy(&compose->region, wanted, ext->cpus_allowed.len));
}

static void add_sched_attr(struct compose *compose, struct calls *calls, const ThreadExtEntry *ext,
			   const ThreadCoreEntry *core)
{
	struct kernel_sched_attr attr = {
		.size = sizeof(attr),
		.policy = core->sched_policy,
		.flags = ext->sched_flags,
		.nice = core->sched_nice,
		.priority = core->sched_prio,
		.runtime = ext->sched_runtime,
		.deadline = ext->sched_deadline,
		.period = ext->sched_period,
		.util_min = ext->sched_util_min,
		.util_max = ext->sched_util_max,
	};

	if (core->sched_policy != POLICY_DEADLINE && !ext->sched_flags)
		return;
	calls_must(calls, RESTORER_WHAT_SCHED, SYS_sched_setattr, 0,
		   region_copy(&compose->region, &attr, sizeof(attr)), 0);
}

void compose_ext_thread(struct compose *compose, struct calls *calls, const CoreEntry *core,
			pid_t tid)
{
	const ThreadExtEntry *ext = find_thread(compose->task->restore->ext, tid);

	if (!ext)
		return;
	add_affinity(compose, calls, ext);
	add_sched_attr(compose, calls, ext, core->thread_core);
	if (ext->has_timer_slack && (int)ext->timer_slack != prctl(PR_GET_TIMERSLACK))
		calls_must(calls, RESTORER_WHAT_PRCTL, SYS_prctl, PR_SET_TIMERSLACK,
			   ext->timer_slack);
	if (ext->has_io_priority &&
	    (uint32_t)syscall(SYS_ioprio_get, IOPRIO_WHO_THREAD, 0) != ext->io_priority)
		calls_must(calls, RESTORER_WHAT_SCHED, SYS_ioprio_set, IOPRIO_WHO_THREAD, 0,
			   ext->io_priority);
	if (ext->has_io_flusher && ext->io_flusher)
		calls_must(calls, RESTORER_WHAT_PRCTL, SYS_prctl, PR_SET_IO_FLUSHER, 1, 0, 0, 0);
}

/* Deny-write-execute only forbids what is mapped later, so it comes when all is mapped. */
void compose_ext_process(struct compose *compose)
{
	const TaskExtEntry *ext = compose->task->restore->ext;

	if (ext && ext->has_memory_merge && ext->memory_merge)
		calls_must(&compose->calls, RESTORER_WHAT_PRCTL, SYS_prctl, PR_SET_MEMORY_MERGE, 1,
			   0, 0, 0);
	if (ext && ext->has_mdwe && ext->mdwe)
		calls_must(&compose->calls, RESTORER_WHAT_PRCTL, SYS_prctl, PR_SET_MDWE, ext->mdwe,
			   0, 0, 0);
}
