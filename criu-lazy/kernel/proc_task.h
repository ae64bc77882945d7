/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What /proc says of one task: parsers of text already read, and pure. Formats: proc(5),
 * Documentation/filesystems/proc.rst. All return 0 or -EBADMSG, not logged.
 */
#ifndef KERNEL_PROC_TASK_H
#define KERNEL_PROC_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROC_COMM_SIZE = 64, PROC_RLIMITS = 16 };

/* /proc/PID/stat. comm is raw there (status escapes it). */
struct proc_stat {
	char comm[PROC_COMM_SIZE];
	char state;
	pid_t ppid, pgrp, session;
	uint32_t flags; /* PF_* */
	int nice;
	int exit_code; /* as wait(2) gives it; of a zombie */
};
int proc_stat_parse(const char *text, struct proc_stat *out);
/* stat.flags of a kernel thread has this bit (include/linux/sched.h). */
#define PROC_PF_KTHREAD 0x00200000u

struct proc_status {
	char state;
	pid_t tracer;
	uint32_t uid[4],
		gid[4];	  /* real, effective, saved, filesystem; in the reader's user namespace */
	uint32_t *groups; /* malloc; proc_status_free() */
	size_t nr_groups;
	pid_t ns_tgid, ns_pid, ns_pgid, ns_sid; /* in the innermost pid namespace */
	size_t ns_depth;			/* pid namespaces from ours down, at least 1 */
	uint64_t cap_inh, cap_prm, cap_eff, cap_bnd, cap_amb;
	bool no_new_privs;
	unsigned int seccomp; /* SECCOMP_MODE_* */
	unsigned int umask;
	bool has_umask;	  /* zombies have none */
	bool has_pending; /* SigPnd or ShdPnd is not empty */
};
int proc_status_parse(const char *text, struct proc_status *out);
void proc_status_free(struct proc_status *status);

struct proc_rlimit {
	uint64_t cur, max; /* RLIM_INFINITY as UINT64_MAX */
};
/* /proc/PID/limits, in the order of RLIMIT_* numbers. */
int proc_limits_parse(const char *text, struct proc_rlimit out[PROC_RLIMITS]);

struct proc_timer {
	int id;
	int signal;
	uint64_t sigval;
	int notify;   /* SIGEV_* */
	pid_t target; /* process or, with SIGEV_THREAD_ID, thread; as the reader sees it */
	int clock;
};
/* /proc/PID/timers: *out is a malloc'ed array of *count, NULL if there are none. -ENOMEM too. */
int proc_timers_parse(const char *text, struct proc_timer **out, size_t *count);

#endif
