// SPDX-License-Identifier: GPL-2.0
/* The texts are what Linux 6.18 prints. */
#include <errno.h>
#include <stdlib.h>

#include "kinds/events/fdinfo.h"
#include "unit.h"

#define HEAD "pos:\t0\nflags:\t04002\nmnt_id:\t17\nino:\t26\n"

static void test_eventfd(void)
{
	struct eventfd_fdinfo info;

	check_eq(fdinfo_parse_eventfd(HEAD "eventfd-count:                7\neventfd-id: 1\n"
					   "eventfd-semaphore: 1\n",
				      &info),
		 0);
	check_eq(info.counter, 7);
	check(info.semaphore);
	check_eq(fdinfo_parse_eventfd(HEAD "eventfd-count: fffffffffffffffe\n", &info), 0);
	check(info.counter == UINT64_MAX - 1 && !info.semaphore);
	check_eq(fdinfo_parse_eventfd(HEAD, &info), -EINVAL);
	check_eq(fdinfo_parse_eventfd("", &info), -EINVAL);
}

static void test_timerfd(void)
{
	struct timerfd_fdinfo info;

	check_eq(fdinfo_parse_timerfd(HEAD
				      "clockid: 7\nticks: 3\nsettime flags: 03\n"
				      "it_value: (998, 921574949)\nit_interval: (0, 50000000)\n",
				      &info),
		 0);
	check(info.clock == 7 && info.ticks == 3 && info.settime_flags == 3);
	check_eq(info.spec.it_value.tv_sec, 998);
	check_eq(info.spec.it_value.tv_nsec, 921574949);
	check_eq(info.spec.it_interval.tv_nsec, 50000000);
	check_eq(fdinfo_parse_timerfd(HEAD "clockid: 7\nticks: 3\nsettime flags: 03\n"
					   "it_value: (998, 1000000000)\nit_interval: (0, 0)\n",
				      &info),
		 -EINVAL);
	check_eq(fdinfo_parse_timerfd(HEAD "clockid: 7\nticks: 3\n", &info), -EINVAL);
}

static void test_signalfd(void)
{
	uint64_t mask;

	check_eq(fdinfo_parse_signalfd(HEAD "sigmask:\t0000001000000200\n", &mask), 0);
	check_eq(mask, 0x1000000200);
	check_eq(fdinfo_parse_signalfd(HEAD "sigmask:\tx\n", &mask), -EINVAL);
}

static void test_epoll(void)
{
	struct epoll_target *targets;
	size_t count;

	check_eq(fdinfo_parse_epoll(HEAD "tfd:        3 events: 80000019 data:       1234567890  "
					 "pos:0 ino:1a sdev:10\n"
					 "tfd:        4 events: 4000001c data: ffffffffffffffff  "
					 "pos:-1 ino:1b sdev:fe00001\n"
					 "tfd:        3 events:        0 data:                0  "
					 "pos:12 ino:1c sdev:10\n",
				    &targets, &count),
		 0);
	check_eq(count, 3);
	check(targets[0].number == 3 && targets[0].nth == 0 && targets[0].events == 0x80000019);
	check(targets[0].data == 0x1234567890 && targets[0].inode == 0x1a &&
	      targets[0].dev == 0x10);
	check(targets[1].number == 4 && targets[1].data == UINT64_MAX);
	check(targets[2].number == 3 && targets[2].nth == 1 && targets[2].pos == 12);
	free(targets);
	check_eq(fdinfo_parse_epoll(HEAD, &targets, &count), 0);
	check(!targets && !count);
	check_eq(fdinfo_parse_epoll(HEAD "tfd: 3\n", &targets, &count), -EINVAL);
}

static void test_inotify(void)
{
	struct inotify_watch *watches;
	size_t count;

	check_eq(fdinfo_parse_inotify(
			 HEAD "inotify wd:3 ino:a7424f sdev:fe00000 mask:80000002 ignored_mask:0 "
			      "fhandle-bytes:8 fhandle-type:1 f_handle:4f42a700bbb13a6d\n"
			      "inotify wd:1 ino:a74256 sdev:fe00000 mask:300 ignored_mask:0\n",
			 &watches, &count),
		 0);
	check_eq(count, 2);
	check(watches[0].wd == 1 && watches[0].mask == 0x300 && watches[0].handle_bytes == 0);
	check(watches[1].wd == 3 && watches[1].mask == 0x80000002 && watches[1].inode == 0xa7424f);
	check(watches[1].handle_bytes == 8 && watches[1].handle_type == 1);
	check(watches[1].handle[0] == 0x4f && watches[1].handle[7] == 0x6d);
	free(watches);
	check_eq(fdinfo_parse_inotify(HEAD "inotify wd:3 ino:1 sdev:1 mask:2 ignored_mask:0 "
					   "fhandle-bytes:ff fhandle-type:1 f_handle:00\n",
				      &watches, &count),
		 -EINVAL);
	check_eq(fdinfo_parse_inotify(HEAD "inotify wd:3 ino:1 sdev:1 mask:2 ignored_mask:0 "
					   "fhandle-bytes:8 fhandle-type:1 f_handle:00\n",
				      &watches, &count),
		 -EINVAL);
}

static void test_pidfd(void)
{
	int32_t pid, innermost;

	check_eq(fdinfo_parse_pidfd(HEAD "Pid:\t412\nNSpid:\t412\t7\n", &pid, &innermost), 0);
	check(pid == 412 && innermost == 7);
	check_eq(fdinfo_parse_pidfd(HEAD "Pid:\t-1\nNSpid:\t-1\n", &pid, &innermost), 0);
	check(pid == -1 && innermost == -1);
	check_eq(fdinfo_parse_pidfd(HEAD, &pid, &innermost), -EINVAL);
}

int main(void)
{
	test_eventfd();
	test_timerfd();
	test_signalfd();
	test_epoll();
	test_inotify();
	test_pidfd();
	return 0;
}
