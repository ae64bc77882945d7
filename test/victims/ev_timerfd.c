// SPDX-License-Identifier: GPL-2.0
/* Unread ticks, one-shot and periodic, absolute on the wall clock, not armed. */
#include <sys/timerfd.h>

#include "victim.h"

static int make(int clock, int flags, long value_ms, long interval_ms)
{
	int fd = timerfd_create(clock, TFD_NONBLOCK);
	struct itimerspec spec = {
		.it_value = { value_ms / 1000, value_ms % 1000 * 1000000 },
		.it_interval = { interval_ms / 1000, interval_ms % 1000 * 1000000 },
	};

	require(fd >= 0, "create on clock %d", clock);
	if (flags & TFD_TIMER_ABSTIME) {
		struct timespec now;

		clock_gettime(clock, &now);
		spec.it_value.tv_sec += now.tv_sec;
	}
	require(!timerfd_settime(fd, flags, &spec, NULL), "arm");
	return fd;
}

static void require_left(int fd, long min, long max)
{
	struct itimerspec spec;

	require(!timerfd_gettime(fd, &spec), "gettime");
	require(spec.it_value.tv_sec >= min && spec.it_value.tv_sec <= max, "%ld s left",
		(long)spec.it_value.tv_sec);
}

static uint64_t ticks(int fd)
{
	uint64_t value = 0;

	if (read(fd, &value, sizeof(value)) < 0)
		require(errno == EAGAIN, "read");
	return value;
}

int main(int argc, char **argv)
{
	int fired, periodic, slow, wall, boot, idle;
	struct itimerspec spec;
	uint64_t got;

	victim_begin(argc, argv);
	fired = make(CLOCK_MONOTONIC, 0, 1, 0);
	periodic = make(CLOCK_MONOTONIC, 0, 1, 10);
	slow = make(CLOCK_MONOTONIC, 0, 3600000, 7000);
	wall = make(CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, 1000000, 0);
	boot = make(CLOCK_BOOTTIME, TFD_TIMER_ABSTIME, 2000000, 0);
	idle = timerfd_create(CLOCK_REALTIME, 0);
	victim_sleep_ms(60);
	victim_ready();

	require(ticks(fired) == 1, "unread expiration");
	require(ticks(fired) == 0, "it was one shot");
	got = ticks(periodic);
	require(got >= 5, "periodic timer has %lu ticks", got);
	victim_sleep_ms(40);
	require(ticks(periodic) >= 2, "periodic timer goes on");
	require_left(slow, 3500, 3600);
	require(!timerfd_gettime(slow, &spec) && spec.it_interval.tv_sec == 7, "interval");
	require_left(wall, 900, 1000);
	require_left(boot, 1900, 2000);
	require_left(idle, 0, 0);
	victim_pass();
}
