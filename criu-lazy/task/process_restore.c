// SPDX-License-Identifier: GPL-2.0
/* What is left of a process and of a thread: scheduling, names, limits and attributes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch_core.h"
#include "task/task_restore.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

enum { COMM_BYTES = 16, NICE_MIN = -20, NICE_MAX = 19, RLIMITS = 16 };

struct kernel_stack { /* stack_t */
	uint64_t sp;
	int32_t flags, pad;
	uint64_t size;
};

static int write_number(const struct task *task, const char *path, long value)
{
	scoped_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	char text[32];
	int len = snprintf(text, sizeof(text), "%ld", value);

	if (fd < 0 || write(fd, text, len) != len) {
		log_warn("task %d: %s could not be set to %ld: %s", task->pid, path, value,
			 strerror(errno));
		return -errno;
	}
	return 0;
}

static void write_hex(const struct task *task, const char *path, unsigned long value)
{
	scoped_text struct text text = { 0 };
	char now[32];
	int len = snprintf(now, sizeof(now), "0x%lx", value);
	scoped_fd int fd = -1;

	if (!text_read_at(AT_FDCWD, path, &text) && strtoul(text.data, NULL, 16) == value)
		return;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, now, len) != len)
		log_warn("task %d: %s could not be set to %s: %s", task->pid, path, now,
			 strerror(errno));
}

static long read_number(const char *path)
{
	scoped_text struct text text = { 0 };

	return text_read_at(AT_FDCWD, path, &text) ? 0 : strtol(text.data, NULL, 10);
}

int task_restore_hosted(struct restore *restore, const struct task *task)
{
	const TaskCoreEntry *tc = task->restore->cores[0]->tc;

	if (tc->has_oom_score_adj && read_number("/proc/self/oom_score_adj") != tc->oom_score_adj)
		write_number(task, "/proc/self/oom_score_adj", tc->oom_score_adj);
	if (tc->has_loginuid && tc->loginuid != UINT32_MAX &&
	    (uint32_t)read_number("/proc/self/loginuid") != tc->loginuid)
		write_number(task, "/proc/self/loginuid", tc->loginuid);
	if (task->restore->ext && task->restore->ext->has_coredump_filter)
		write_hex(task, "/proc/self/coredump_filter", task->restore->ext->coredump_filter);
	return 0;
}

void compose_sched(struct calls *calls, struct region *region, const ThreadCoreEntry *core)
{
	int policy = core->has_sched_policy ? (int)core->sched_policy : SCHED_OTHER;
	const int prio[2] = { core->has_sched_prio ? (int)core->sched_prio : 0 };

	if (sched_getscheduler(0) != policy)
		calls_must(calls, RESTORER_WHAT_SCHED, SYS_sched_setscheduler, 0, policy,
			   region_copy(region, prio, sizeof(prio)));
	if (core->has_sched_nice && core->sched_nice >= NICE_MIN && core->sched_nice <= NICE_MAX &&
	    getpriority(PRIO_PROCESS, 0) != core->sched_nice)
		calls_must(calls, RESTORER_WHAT_SCHED, SYS_setpriority, PRIO_PROCESS, 0,
			   core->sched_nice);
}

static void add_altstack(struct compose *compose, struct calls *calls, const ThreadSasEntry *sas)
{
	struct kernel_stack stack;

	if (!sas || sas->ss_flags & SS_DISABLE)
		return;
	/* Whether the thread is on it is not set but seen from its stack pointer. */
	stack = (struct kernel_stack){
		.sp = sas->ss_sp,
		.flags = (int32_t)(sas->ss_flags & ~(uint32_t)SS_ONSTACK),
		.size = sas->ss_size,
	};
	calls_must(calls, RESTORER_WHAT_ALTSTACK, SYS_sigaltstack,
		   region_copy(&compose->region, &stack, sizeof(stack)), 0);
}

int compose_thread(struct compose *compose, struct calls *calls, const CoreEntry *core, pid_t tid,
		   const char *comm)
{
	const ThreadCoreEntry *thread = core->thread_core;
	uint64_t clear_tid = arch_core_clear_tid(core);
	char name[COMM_BYTES] = { 0 };

	strncpy(name, comm ? comm : "", sizeof(name) - 1);
	calls_must(calls, RESTORER_WHAT_PRCTL, SYS_prctl, PR_SET_NAME,
		   region_copy(&compose->region, name, sizeof(name)));
	if (clear_tid)
		calls_must(calls, RESTORER_WHAT_MISC, SYS_set_tid_address, clear_tid);
	if (thread->futex_rla)
		calls_must(calls, RESTORER_WHAT_MISC, SYS_set_robust_list, thread->futex_rla,
			   thread->futex_rla_len);
	add_altstack(compose, calls, thread->sas);
	if (thread->rseq_entry && thread->rseq_entry->rseq_abi_pointer)
		calls_must(calls, RESTORER_WHAT_RSEQ, SYS_rseq,
			   thread->rseq_entry->rseq_abi_pointer, thread->rseq_entry->rseq_abi_size,
			   0, thread->rseq_entry->signature);
	compose_sched(calls, &compose->region, thread);
	compose_ext_thread(compose, calls, core, tid);
	compose_pending(compose, calls, thread->signals_p, tid);
	return 0;
}

static bool may_raise_limits(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	return !syscall(SYS_capget, &header, data) &&
	       data[CAP_SYS_RESOURCE / 32].effective & 1u << CAP_SYS_RESOURCE % 32;
}

static const char *const limit_names[RLIMITS] = {
	"CPU time",
	"file size",
	"data",
	"stack",
	"core file",
	"resident set",
	"processes",
	"open files",
	"locked memory",
	"address space",
	"file locks",
	"pending signals",
	"message queues",
	"nice priority",
	"realtime priority",
	"realtime timeout",
};

/* Lowering is free; raising a hard limit needs CAP_SYS_RESOURCE. What is refused is said and left.
 */
void compose_limits(struct compose *compose, const TaskRlimitsEntry *limits)
{
	for (size_t i = 0; limits && i < limits->n_rlimits && i < RLIMITS; i++) {
		struct rlimit wanted = { limits->rlimits[i]->cur, limits->rlimits[i]->max }, now;

		if (getrlimit(i, &now) < 0 ||
		    (now.rlim_cur == wanted.rlim_cur && now.rlim_max == wanted.rlim_max))
			continue;
		if (wanted.rlim_max > now.rlim_max && !may_raise_limits()) {
			log_warn("task %d: hard limit of %s: %lu is above ours, %lu, which it "
				 "keeps: raising it needs CAP_SYS_RESOURCE",
				 compose->task->pid, limit_names[i], (unsigned long)wanted.rlim_max,
				 (unsigned long)now.rlim_max);
			wanted.rlim_max = now.rlim_max;
			if (wanted.rlim_cur > wanted.rlim_max)
				wanted.rlim_cur = wanted.rlim_max;
		}
		calls_must(&compose->calls, RESTORER_WHAT_LIMIT, SYS_prlimit64, 0, i,
			   region_copy(&compose->region, &wanted, sizeof(wanted)), 0);
	}
}

/* Writers without our extensions take the kernel's hexadecimal text for decimal: 0x40000 is stored
 * as 40000. A number that has been through that has no hexadecimal letters. */
static uint64_t personality_of(const struct restore_task *rt)
{
	uint32_t value = rt->cores[0]->tc->personality;
	char digits[16];

	if (rt->ext)
		return value;
	snprintf(digits, sizeof(digits), "%u", value);
	return strtoul(digits, NULL, 16);
}

int compose_process(struct compose *compose)
{
	const TaskCoreEntry *tc = compose->task->restore->cores[0]->tc;
	uint32_t membarrier =
		tc->has_membarrier_registration_mask ? tc->membarrier_registration_mask : 0;

	if (tc->has_child_subreaper && tc->child_subreaper)
		calls_must(&compose->calls, RESTORER_WHAT_PRCTL, SYS_prctl, PR_SET_CHILD_SUBREAPER,
			   1);
	for (; membarrier; membarrier &= membarrier - 1)
		calls_must(&compose->calls, RESTORER_WHAT_MISC, SYS_membarrier,
			   membarrier & -membarrier, 0, 0);
	compose_pending(compose, &compose->calls, tc->signals_s, 0);
	calls_must(&compose->calls, RESTORER_WHAT_MISC, SYS_personality,
		   personality_of(compose->task->restore));
	compose_timers(compose, tc->timers);
	compose_limits(compose, tc->rlimits);
	compose_ext_process(compose);
	return 0;
}
