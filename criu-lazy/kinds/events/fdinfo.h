/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What /proc/PID/fdinfo says about event descriptors (proc_pid_fdinfo(5)).
 * Pure text parsers: no descriptor is touched. They return 0, -EINVAL when a
 * line of the kind is missing or malformed, or -ENOMEM; nothing is logged.
 */
#ifndef KINDS_EVENTS_FDINFO_H
#define KINDS_EVENTS_FDINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct eventfd_fdinfo {
	uint64_t counter;
	bool semaphore; /* the line exists since Linux 6.5; false before */
};
int fdinfo_parse_eventfd(const char *text, struct eventfd_fdinfo *out);

struct timerfd_fdinfo {
	uint32_t clock;
	uint64_t ticks;		/* expirations not read yet */
	uint32_t settime_flags; /* TFD_TIMER_* */
	struct itimerspec spec; /* it_value: time left */
};
int fdinfo_parse_timerfd(const char *text, struct timerfd_fdinfo *out);

/* *mask: bit n is signal n + 1. */
int fdinfo_parse_signalfd(const char *text, uint64_t *mask);

struct epoll_target {
	uint32_t number; /* the descriptor's number when it was added: half of the item's key */
	uint32_t nth;	 /* of the items with this number, in the kernel's order */
	uint32_t events;
	uint64_t data;
	uint64_t pos;
	uint64_t inode;
	uint32_t dev;
};
/* *targets is malloced, in the kernel's order; NULL when there are none. */
int fdinfo_parse_epoll(const char *text, struct epoll_target **targets, size_t *count);

enum { INOTIFY_HANDLE_MAX = 128 }; /* MAX_HANDLE_SZ */

struct inotify_watch {
	int32_t wd;
	uint64_t inode;
	uint32_t dev; /* the kernel's: major << 20 | minor */
	uint32_t mask;
	uint32_t ignored_mask;
	uint32_t handle_bytes; /* 0: the file system has no file handles */
	int32_t handle_type;
	uint8_t handle[INOTIFY_HANDLE_MAX];
};
/* *watches is malloced and sorted by wd; NULL when there are none. */
int fdinfo_parse_inotify(const char *text, struct inotify_watch **watches, size_t *count);

/* pidfd: the pid in the reader's pid namespace, and in the innermost one of the target. -1: dead.
 */
int fdinfo_parse_pidfd(const char *text, int32_t *pid, int32_t *innermost);

#endif
