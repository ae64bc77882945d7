// SPDX-License-Identifier: GPL-2.0
/* Parsers of /proc/PID/{stat,status,limits,timers}. */
#include "kernel/proc_task.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "unit.h"
#include "util/text.h"

static void stat_with_odd_comm(void)
{
	struct proc_stat st;

	check_eq(
		proc_stat_parse("12 (a) R (b\n) S 1 12 13 0 -1 4194560 1 2 3 4 5 6 7 8 20 -5 1 0 9 "
				"10 11 0 768\n",
				&st),
		0);
	check(!strcmp(st.comm, "a) R (b\n"));
	check_eq(st.state, 'S');
	check_eq(st.ppid, 1);
	check_eq(st.pgrp, 12);
	check_eq(st.session, 13);
	check_eq(st.flags, 4194560);
	check_eq(st.nice, -5);
	check_eq(st.exit_code, 768);
	check_eq(proc_stat_parse("12 comm S 1", &st), -EBADMSG);
	check_eq(proc_stat_parse("12 (comm) S 1", &st), -EBADMSG);
	check_eq(proc_stat_parse("", &st), -EBADMSG);
}

#define STATUS_HEAD \
	"Name:\tx\nUmask:\t0027\nState:\tT (stopped)\nTgid:\t7\nNgid:\t0\nPid:\t8\nPPid:\t1\n"
#define STATUS_IDS "TracerPid:\t42\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nFDSize:\t64\n"
#define STATUS_TAIL                                                                              \
	"NStgid:\t7\t1\nNSpid:\t8\t2\nNSpgid:\t7\t1\nNSsid:\t7\t0\nKthread:\t0\nVmPeak:\t1 kB\n" \
	"Threads:\t2\nSigQ:\t0/9\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000800\n"        \
	"SigBlk:\t0000000000000000\nSigIgn:\t0000000000000006\nSigCgt:\t0000000000000200\n"      \
	"CapInh:\t0000000000000001\nCapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffffff\n"      \
	"CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000002\nNoNewPrivs:\t1\nSeccomp:\t2\n"    \
	"Seccomp_filters:\t1\n"

static void status_fields(void)
{
	struct proc_status st;

	check_eq(proc_status_parse(STATUS_HEAD STATUS_IDS "Groups:\t4 24 27 \n" STATUS_TAIL, &st),
		 0);
	check_eq(st.state, 'T');
	check_eq(st.umask, 027);
	check(st.has_umask);
	check_eq(st.tracer, 42);
	check_eq(st.uid[3], 4);
	check_eq(st.gid[0], 5);
	check_eq(st.nr_groups, 3);
	check_eq(st.groups[2], 27);
	check_eq(st.ns_pid, 2);
	check_eq(st.ns_tgid, 1);
	check_eq(st.ns_sid, 0);
	check_eq(st.ns_depth, 2);
	check(st.has_pending);
	check_eq(st.cap_prm, 0x1ffffffffff);
	check_eq(st.cap_amb, 2);
	check(st.no_new_privs);
	check_eq(st.seccomp, 2);
	proc_status_free(&st);

	check_eq(proc_status_parse(STATUS_HEAD STATUS_IDS "Groups:\t \n" STATUS_TAIL, &st), 0);
	check_eq(st.nr_groups, 0);
	proc_status_free(&st);
	check_eq(proc_status_parse(STATUS_HEAD STATUS_IDS, &st), -EBADMSG);
	check_eq(proc_status_parse("", &st), -EBADMSG);
}

static void our_own_files(void)
{
	struct text text = { 0 };
	struct proc_stat st;
	struct proc_status status;
	struct proc_rlimit limits[PROC_RLIMITS];

	check_eq(text_read_at(-1, "/proc/self/stat", &text), 0);
	check_eq(proc_stat_parse(text.data, &st), 0);
	check_eq(st.ppid, getppid());
	check_eq(text_read_at(-1, "/proc/self/status", &text), 0);
	check_eq(proc_status_parse(text.data, &status), 0);
	check_eq(status.uid[1], geteuid());
	proc_status_free(&status);
	check_eq(text_read_at(-1, "/proc/self/limits", &text), 0);
	check_eq(proc_limits_parse(text.data, limits), 0);
	check_eq(text_read_at(-1, "/proc/self/no-such-file", &text), -ENOENT);
	text_free(&text);
}

static void limits_rows(void)
{
	static const char good[] =
		"Limit                     Soft Limit           Hard Limit           Units     \n"
		"Max cpu time              1                    unlimited            seconds   \n"
		"Max file size             unlimited            unlimited            bytes     \n"
		"Max data size             unlimited            unlimited            bytes     \n"
		"Max stack size            8388608              unlimited            bytes     \n"
		"Max core file size        0                    unlimited            bytes     \n"
		"Max resident set          unlimited            unlimited            bytes     \n"
		"Max processes             96365                96365                processes \n"
		"Max open files            20000                20000                files     \n"
		"Max locked memory         8388608              8388608              bytes     \n"
		"Max address space         unlimited            unlimited            bytes     \n"
		"Max file locks            unlimited            unlimited            locks     \n"
		"Max pending signals       96365                96365                signals   \n"
		"Max msgqueue size         819200               819200               bytes     \n"
		"Max nice priority         0                    0                    \n"
		"Max realtime priority     0                    7                    \n"
		"Max realtime timeout      unlimited            unlimited            us        \n";
	struct proc_rlimit limits[PROC_RLIMITS];
	char cut[sizeof(good)];

	check_eq(proc_limits_parse(good, limits), 0);
	check_eq(limits[0].cur, 1);
	check_eq(limits[0].max, UINT64_MAX);
	check_eq(limits[3].cur, 8388608);
	check_eq(limits[14].max, 7);
	memcpy(cut, good, sizeof(good));
	cut[400] = '\0';
	check_eq(proc_limits_parse(cut, limits), -EBADMSG);
	check_eq(proc_limits_parse("", limits), -EBADMSG);
}

static void timers_list(void)
{
	struct proc_timer *timers;
	size_t count;

	check_eq(proc_timers_parse("ID: 1\nsignal: 60/00007fff86e452a8\nnotify: signal/pid.2634\n"
				   "ClockID: 0\nID: 0\nsignal: 14/0000000000000000\n"
				   "notify: signal/tid.77\nClockID: -6\n",
				   &timers, &count),
		 0);
	check_eq(count, 2);
	check_eq(timers[0].id, 1);
	check_eq(timers[0].signal, 60);
	check_eq(timers[0].sigval, 0x7fff86e452a8);
	check_eq(timers[0].notify, SIGEV_SIGNAL);
	check_eq(timers[0].target, 2634);
	check_eq(timers[1].notify, SIGEV_THREAD_ID);
	check_eq(timers[1].target, 77);
	check_eq(timers[1].clock, -6);
	free(timers);
	check_eq(proc_timers_parse("", &timers, &count), 0);
	check_eq(count, 0);
	check_eq(proc_timers_parse("ID: 1\nsignal: 6", &timers, &count), -EBADMSG);
}

int main(void)
{
	stat_with_odd_comm();
	status_fields();
	our_own_files();
	limits_rows();
	timers_list();
	return 0;
}
