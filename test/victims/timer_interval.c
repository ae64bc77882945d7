// SPDX-License-Identifier: GPL-2.0
/* The three interval timers: what is left, the period, and that they still fire. */
#include "victim.h"

#include <signal.h>
#include <sys/time.h>

static volatile int alarms;

static void on_alarm(int signo)
{
	alarms++;
}

static void check_timer(int which, long value, long interval)
{
	struct itimerval now;

	require(!getitimer(which, &now), "getitimer");
	require(now.it_interval.tv_sec == interval, "timer %d: interval %ld", which,
		now.it_interval.tv_sec);
	require(now.it_value.tv_sec <= value && now.it_value.tv_sec > value - 60,
		"timer %d: %ld left", which, now.it_value.tv_sec);
}

static void set(int which, long value, long interval)
{
	struct itimerval timer = { .it_value.tv_sec = value, .it_interval.tv_sec = interval };

	require(!setitimer(which, &timer, NULL), "setitimer");
}

int main(int argc, char **argv)
{
	struct itimerval soon = { .it_value.tv_usec = 1000, .it_interval.tv_usec = 1000 };

	victim_begin(argc, argv);
	signal(SIGALRM, on_alarm);
	set(ITIMER_REAL, 1000, 7);
	set(ITIMER_VIRTUAL, 2000, 8);
	set(ITIMER_PROF, 3000, 9);

	victim_ready();

	check_timer(ITIMER_REAL, 1000, 7);
	check_timer(ITIMER_VIRTUAL, 2000, 8);
	check_timer(ITIMER_PROF, 3000, 9);
	require(!setitimer(ITIMER_REAL, &soon, NULL), "setitimer");
	while (alarms < 3)
		victim_sleep_ms(1);
	victim_pass();
}
