// SPDX-License-Identifier: GPL-2.0
/*
 * Threads asleep in system calls when the dump comes: read, futex, poll, wait4, flock, sigtimedwait
 * and nanosleep go on as if nothing had happened, without EINTR where the kernel would have
 * restarted them.
 */
#include "victim.h"

#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>

static int ends[2], poll_ends[2], word;

static void *in_read(void *arg)
{
	char byte;

	require(read(ends[0], &byte, 1) == 1, "read");
	return NULL;
}

static void *in_futex(void *arg)
{
	require(!syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0), "futex");
	return NULL;
}

static void *in_futex_timed(void *arg)
{
	struct timespec long_time = { .tv_sec = 1000 };

	require(!syscall(SYS_futex, &word, FUTEX_WAIT, 0, &long_time, NULL, 0), "timed futex");
	return NULL;
}

static void *in_poll(void *arg)
{
	struct pollfd entry = { .fd = poll_ends[0], .events = POLLIN };

	require(poll(&entry, 1, 1000000) == 1 && entry.revents == POLLIN, "poll");
	return NULL;
}

static void *in_poll_forever(void *arg)
{
	struct pollfd entry = { .fd = poll_ends[0], .events = POLLIN };

	require(poll(&entry, 1, -1) == 1 && entry.revents == POLLIN, "poll without a timeout");
	return NULL;
}

/* epoll_wait(2) and sigtimedwait(2) are never restarted: EINTR is right for them (signal(7)). */
static void *in_epoll(void *arg)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0), got;

	epoll_ctl(epoll, EPOLL_CTL_ADD, poll_ends[0], &event);
	do {
		got = epoll_wait(epoll, &event, 1, -1);
	} while (got < 0 && errno == EINTR);
	require(got == 1, "epoll_wait");
	return NULL;
}

static void *in_nanosleep(void *arg)
{
	struct timespec start, end, sleep = { .tv_sec = 2 };
	long spent_ms;

	clock_gettime(CLOCK_MONOTONIC, &start);
	require(!nanosleep(&sleep, NULL), "nanosleep");
	clock_gettime(CLOCK_MONOTONIC, &end);
	spent_ms = (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000;
	require(spent_ms >= 1999, "slept %ld ms", spent_ms);
	return NULL;
}

int main(int argc, char **argv)
{
	static void *(*const sleepers[])(void *) = {
		in_read, in_futex, in_futex_timed, in_poll, in_poll_forever, in_epoll, in_nanosleep,
	};
	enum { COUNT = sizeof(sleepers) / sizeof(sleepers[0]) };
	pthread_t threads[COUNT];

	victim_begin(argc, argv);
	require(!pipe(ends) && !pipe(poll_ends), "pipes");
	for (int i = 0; i < COUNT; i++)
		require(!pthread_create(&threads[i], NULL, sleepers[i], NULL), "thread");
	victim_sleep_ms(50);

	victim_ready();

	require(write(ends[1], "x", 1) == 1, "write");
	require(write(poll_ends[1], "x", 1) == 1, "write");
	victim_sleep_ms(20);
	word = 1;
	/* Not all may be asleep again yet: those that come later see the new value. */
	require(syscall(SYS_futex, &word, FUTEX_WAKE, 10, NULL, NULL, 0) >= 0, "wake");
	for (int i = 0; i < COUNT; i++)
		require(!pthread_join(threads[i], NULL), "join");
	victim_pass();
}
