// SPDX-License-Identifier: GPL-2.0
/*
 * Targets of several kinds, an epoll in an epoll, a target whose number was closed and lives on as
 * a duplicate, and one whose number belongs to something else by now.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "victim.h"

static int outer;

static void add(int epoll, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	require(!epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "add %d", fd);
}

static uint64_t wait_one(int epoll)
{
	struct epoll_event event;
	int got = epoll_wait(epoll, &event, 1, 1000);

	require(got == 1, "epoll_wait gave %d", got);
	return event.data.u64;
}

static void signal_event(int fd)
{
	uint64_t one = 1;

	require(write(fd, &one, sizeof(one)) == sizeof(one), "write eventfd");
}

static void drain(int fd)
{
	uint64_t value;

	require(read(fd, &value, sizeof(value)) == sizeof(value), "read eventfd");
}

int main(int argc, char **argv)
{
	int pair[2], pipes[2], event, moved, lost, inner, moved_number, reused;
	struct epoll_event none;

	victim_begin(argc, argv);
	outer = epoll_create1(EPOLL_CLOEXEC);
	inner = epoll_create1(0);
	event = eventfd(0, 0);
	require(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair) && !pipe(pipes), "create targets");
	add(outer, event, EPOLLIN, 0xfedcba9876543210);
	add(outer, pair[0], EPOLLIN | EPOLLET, 2);
	add(outer, pipes[0], EPOLLIN | EPOLLONESHOT, 3);
	add(outer, inner, EPOLLIN, 4);

	moved_number = eventfd(0, 0);
	add(outer, moved_number, EPOLLIN, 5);
	moved = fcntl(moved_number, F_DUPFD, 100);
	close(moved_number);

	lost = eventfd(0, 0);
	add(inner, lost, EPOLLIN, 6);
	reused = fcntl(lost, F_DUPFD, 110);
	require(dup2(event, lost) == lost, "reuse %d", lost);
	victim_ready();

	require(epoll_wait(outer, &none, 1, 0) == 0, "nothing may be ready");
	signal_event(event);
	require(wait_one(outer) == 0xfedcba9876543210, "eventfd");
	drain(event);
	require(write(pair[1], "x", 1) == 1 && wait_one(outer) == 2, "edge-triggered socket");
	require(epoll_wait(outer, &none, 1, 0) == 0, "edge reported twice");
	require(write(pipes[1], "x", 1) == 1 && wait_one(outer) == 3, "one-shot pipe");
	require(epoll_wait(outer, &none, 1, 0) == 0, "one shot fired twice");
	signal_event(moved);
	require(wait_one(outer) == 5, "moved target");
	drain(moved);
	signal_event(reused);
	require(wait_one(outer) == 4 && wait_one(inner) == 6, "target of the inner epoll");
	/* The keys are the old ones too. */
	require(dup2(moved, moved_number) == moved_number &&
			!epoll_ctl(outer, EPOLL_CTL_DEL, moved_number, &none),
		"delete by the old number");
	victim_pass();
}
