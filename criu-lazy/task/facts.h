/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a dump gathers about a task and its threads before it writes anything.
 *
 * First from outside (task_dump_outside): /proc, ptrace and system calls that take a pid.
 * Then, when nothing can be refused any more, from the task itself (task_dump_ask): one
 * injection per task, gone again when the call returns.
 */
#ifndef TASK_FACTS_H
#define TASK_FACTS_H

#include <compel.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#include "kernel/proc_task.h"
#include "mem/mem.h"

enum { FACTS_NSIG = 64 };

struct signal_queue {
	siginfo_t *infos; /* malloc */
	size_t count;
};

struct sched_facts {
	uint32_t policy, priority;
	uint64_t flags;			    /* SCHED_FLAG_* */
	uint64_t runtime, deadline, period; /* SCHED_DEADLINE */
	uint32_t util_min, util_max;
	int io_priority; /* ioprio_get(2) */
	uint8_t *cpus;	 /* affinity mask, malloc */
	size_t cpus_size;
};

struct rseq_facts {
	uint64_t address; /* 0: not registered */
	uint32_t size, signature;
};

struct thread_facts { /* struct thread's priv */
	struct proc_stat stat;
	struct proc_status status;
	struct compel_context context;
	struct sched_facts sched;
	struct rseq_facts rseq;
	struct signal_queue pending;
	uint64_t robust_list, robust_list_len;
	uint32_t seccomp_filter; /* index in seccomp.img, with SECCOMP_MODE_FILTER */

	/* asked */
	stack_t sigaltstack;
	int pdeath_signal;
	unsigned int securebits;
	uint64_t timer_slack; /* nanoseconds; 0: unknown */
	uint64_t clear_tid;
	bool io_flusher;
};

/* As the kernel has it, not as libc does. */
struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};

struct timer_facts {
	struct proc_timer timer;
	struct itimerspec value; /* asked */
	int overrun;
};

struct kernel_ids { /* image ids of what tasks may share */
	uint32_t vm, files, fs, sighand;
};

struct task_facts {	       /* struct dump_task's priv */
	struct proc_stat stat; /* all there is of a zombie, with status */
	struct proc_rlimit limits[PROC_RLIMITS];
	struct kernel_ids ids;
	bool shares_files;	     /* ids.files is that of a task before this one */
	struct signal_queue pending; /* shared by the threads */
	struct timer_facts *timers;  /* malloc */
	size_t nr_timers;
	uint32_t personality, loginuid;
	uint32_t coredump_filter;
	bool has_loginuid, has_coredump_filter;
	int oom_score_adj;

	/* asked */
	struct kernel_sigaction actions[FACTS_NSIG + 1]; /* by number; [0] unused */
	struct itimerval itimers[3];
	struct mem_task_facts mem;
	bool is_subreaper;
	uint32_t membarrier; /* registrations, MEMBARRIER_CMD_* */
	uint32_t mdwe;	     /* prctl(PR_GET_MDWE) */
	bool memory_merge;   /* prctl(PR_GET_MEMORY_MERGE) */
};

static inline struct task_facts *task_facts(const struct task *task)
{
	return (struct task_facts *)task->dump->priv;
}

static inline struct thread_facts *thread_facts(const struct thread *thread)
{
	return (struct thread_facts *)thread->priv;
}

#endif
