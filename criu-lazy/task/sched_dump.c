// SPDX-License-Identifier: GPL-2.0
/* Scheduling of a thread: all of it is told to anybody who may ask by tid. */
#include <linux/sched/types.h>
#include <string.h>
#include <sys/syscall.h>

#include "task/task_dump.h"
#include "util/log.h"
#include "util/scope.h"

enum { IOPRIO_WHO_PROCESS_ = 1, CPU_MASK_FIRST = 128, CPU_MASK_MAX = 65536 };

/* The kernel refuses a buffer smaller than its own mask (sched_getaffinity(2), EINVAL). */
static int read_affinity(pid_t tid, struct sched_facts *out)
{
	for (size_t size = CPU_MASK_FIRST; size <= CPU_MASK_MAX; size *= 2) {
		scoped_free uint8_t *mask = calloc(1, size);
		long n;

		if (!mask)
			return log_ret(-ENOMEM, "task %d: affinity", tid);
		n = syscall(SYS_sched_getaffinity, tid, size, mask);
		if (n > 0) {
			out->cpus = take_ptr(mask);
			out->cpus_size = n;
			return 0;
		}
		if (errno != EINVAL)
			return log_errno("task %d: sched_getaffinity", tid);
	}
	return log_ret(-E2BIG, "task %d: affinity mask", tid);
}

int sched_dump_thread(struct thread *thread, struct sched_facts *out)
{
	struct sched_attr attr = { .size = sizeof(attr) };

	if (syscall(SYS_sched_getattr, thread->host_tid, &attr, sizeof(attr), 0))
		return log_errno("task %d: sched_getattr", thread->host_tid);
	out->policy = attr.sched_policy;
	out->priority = attr.sched_priority;
	out->flags = attr.sched_flags;
	out->runtime = attr.sched_runtime;
	out->deadline = attr.sched_deadline;
	out->period = attr.sched_period;
	out->util_min = attr.sched_util_min;
	out->util_max = attr.sched_util_max;
	out->io_priority = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS_, thread->host_tid);
	if (out->io_priority < 0)
		return log_errno("task %d: ioprio_get", thread->host_tid);
	return read_affinity(thread->host_tid, out);
}
