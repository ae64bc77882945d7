// SPDX-License-Identifier: GPL-2.0
/* victim: ignore=ShdPnd,threads */
/* POSIX timers keep their ids (with gaps), clocks, values and how they notify; one fires meanwhile.
 */
#include "victim.h"

#include <signal.h>

enum { TIMERS = 5, HOUR = 3600 };

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* The kernel's own ids: glibc's timer_t is a pointer for SIGEV_THREAD only. */
static int create(clockid_t clock, int notify, int signo, int value)
{
	struct sigevent event = {
		.sigev_notify = notify,
		.sigev_signo = signo,
		.sigev_value.sival_int = value,
		.sigev_notify_thread_id = gettid(),
	};
	int id = -1;

	require(!syscall(SYS_timer_create, clock, &event, &id), "timer_create");
	return id;
}

static void arm(int id, long value, long interval)
{
	struct itimerspec spec = { .it_value.tv_sec = value, .it_interval.tv_sec = interval };

	require(!syscall(SYS_timer_settime, id, 0, &spec, NULL), "timer_settime");
}

static void check_timer(int id, long value, long interval)
{
	struct itimerspec now;

	require(!syscall(SYS_timer_gettime, id, &now), "timer %d is gone", id);
	require(now.it_interval.tv_sec == interval, "timer %d: interval %ld", id,
		now.it_interval.tv_sec);
	if (value)
		require(now.it_value.tv_sec <= value && now.it_value.tv_sec > value - 60,
			"timer %d: %ld left", id, now.it_value.tv_sec);
	else
		require(!now.it_value.tv_sec && !now.it_value.tv_nsec, "timer %d is armed", id);
}

int main(int argc, char **argv)
{
	struct itimerspec tick = { .it_value.tv_nsec = 1000000, .it_interval.tv_nsec = 1000000 };
	struct timespec second = { .tv_sec = 2 };
	int realtime, mono, none, thread, cpu, gap;
	siginfo_t info;
	sigset_t set;

	victim_begin(argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 4);
	sigaddset(&set, SIGRTMIN + 5);
	sigprocmask(SIG_BLOCK, &set, NULL);
	realtime = create(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN + 4, 11);
	gap = create(CLOCK_REALTIME, SIGEV_NONE, 0, 0);
	mono = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 5, 12);
	none = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 13);
	thread = create(CLOCK_BOOTTIME, SIGEV_THREAD_ID, SIGRTMIN + 4, 14);
	cpu = create(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGRTMIN + 4, 15);
	syscall(SYS_timer_delete, gap);
	arm(realtime, HOUR, 5);
	arm(none, 2 * HOUR, 0);
	arm(cpu, 3 * HOUR, 6);
	require(!syscall(SYS_timer_settime, mono, 0, &tick, NULL), "timer_settime");

	victim_ready();

	check_timer(realtime, HOUR, 5);
	check_timer(none, 2 * HOUR, 0);
	check_timer(cpu, 3 * HOUR, 6);
	check_timer(thread, 0, 0);
	require(syscall(SYS_timer_getoverrun, gap) < 0, "timer %d exists", gap);
	require(sigtimedwait(&set, &info, &second) == SIGRTMIN + 5, "the ticking timer is silent");
	require(info.si_code == SI_TIMER && info.si_value.sival_int == 12, "value %d",
		info.si_value.sival_int);
	require(sigtimedwait(&set, &info, &second) == SIGRTMIN + 5, "it ticked once only");
	arm(thread, 0, 0);
	require(!syscall(SYS_timer_settime, thread, 0, &tick, NULL), "timer_settime");
	while (sigtimedwait(&set, &info, &second) == SIGRTMIN + 5)
		;
	require(info.si_signo == SIGRTMIN + 4 && info.si_value.sival_int == 14, "signal %d",
		info.si_signo);
	victim_pass();
}
