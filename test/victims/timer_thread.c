// SPDX-License-Identifier: GPL-2.0
/* victim: ignore=maps,threads,Threads,SigPnd,SigBlk */
/* A timer that runs a function in a thread (SIGEV_THREAD): the C library's signal 32 arrives every
 * millisecond, also while threads are being made. */
#include "victim.h"

#include <signal.h>
#include <stdatomic.h>

static atomic_uint ticks;

static void tick(union sigval value)
{
	if (value.sival_int == 17)
		ticks++;
}

int main(int argc, char **argv)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD,
		.sigev_notify_function = tick,
		.sigev_value.sival_int = 17,
	};
	const struct itimerspec every_ms = { { 0, 1000000 }, { 0, 1000000 } };
	unsigned int before;
	timer_t timer;

	victim_begin(argc, argv);
	require(!timer_create(CLOCK_MONOTONIC, &event, &timer), "timer");
	require(!timer_settime(timer, 0, &every_ms, NULL), "settime");

	victim_ready();

	before = ticks;
	for (int i = 0; i < 5000 && ticks < before + 20; i++)
		victim_sleep_ms(1);
	require(ticks >= before + 20, "the timer is silent");
	require(!timer_delete(timer), "delete");
	victim_pass();
}
