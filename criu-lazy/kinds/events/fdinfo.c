// SPDX-License-Identifier: GPL-2.0
#include "kinds/events/fdinfo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/scope.h"

/* The text after `key` at the start of a line, or NULL. */
static const char *find_line(const char *text, const char *key)
{
	size_t len = strlen(key);

	while (text && *text) {
		if (!strncmp(text, key, len))
			return text + len;
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return NULL;
}

static size_t count_lines(const char *text, const char *key)
{
	size_t count = 0;

	while ((text = find_line(text, key)))
		count++;
	return count;
}

static int scan_value(const char *text, const char *key, const char *format, void *out)
{
	const char *value = find_line(text, key);

	/* Formats are literals of this file, one conversion each. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	return value && sscanf(value, format, out) == 1 ? 0 : -EINVAL;
#pragma GCC diagnostic pop
}

int fdinfo_parse_eventfd(const char *text, struct eventfd_fdinfo *out)
{
	unsigned int semaphore = 0;
	int ret = scan_value(text, "eventfd-count:", "%" SCNx64, &out->counter);

	if (!ret && find_line(text, "eventfd-semaphore:"))
		ret = scan_value(text, "eventfd-semaphore:", "%u", &semaphore);
	out->semaphore = semaphore;
	return ret;
}

static int scan_timespec(const char *text, const char *key, struct timespec *out)
{
	const char *value = find_line(text, key);
	long long sec, nsec;

	if (!value || sscanf(value, " (%lld, %lld)", &sec, &nsec) != 2)
		return -EINVAL;
	if (sec < 0 || nsec < 0 || nsec >= 1000000000)
		return -EINVAL;
	out->tv_sec = sec;
	out->tv_nsec = nsec;
	return 0;
}

int fdinfo_parse_timerfd(const char *text, struct timerfd_fdinfo *out)
{
	if (scan_value(text, "clockid:", "%" SCNu32, &out->clock) ||
	    scan_value(text, "ticks:", "%" SCNu64, &out->ticks) ||
	    scan_value(text, "settime flags:", "%" SCNo32, &out->settime_flags) ||
	    scan_timespec(text, "it_value:", &out->spec.it_value) ||
	    scan_timespec(text, "it_interval:", &out->spec.it_interval))
		return -EINVAL;
	return 0;
}

int fdinfo_parse_signalfd(const char *text, uint64_t *mask)
{
	return scan_value(text, "sigmask:", "%" SCNx64, mask);
}

static uint32_t count_same_number(const struct epoll_target *targets, size_t count, uint32_t number)
{
	uint32_t same = 0;

	for (size_t i = 0; i < count; i++)
		same += targets[i].number == number;
	return same;
}

int fdinfo_parse_epoll(const char *text, struct epoll_target **targets, size_t *count)
{
	size_t total = count_lines(text, "tfd:");
	scoped_free struct epoll_target *list = NULL;

	*targets = NULL;
	*count = 0;
	if (!total)
		return 0;
	list = calloc(total, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < total; i++) {
		struct epoll_target *target = &list[i];

		text = find_line(text, "tfd:");
		if (sscanf(text,
			   "%" SCNu32 " events: %" SCNx32 " data: %" SCNx64 " pos:%" SCNi64
			   " ino:%" SCNx64 " sdev:%" SCNx32,
			   &target->number, &target->events, &target->data, (int64_t *)&target->pos,
			   &target->inode, &target->dev) != 6)
			return -EINVAL;
		target->nth = count_same_number(list, i, target->number);
	}
	*targets = take_ptr(list);
	*count = total;
	return 0;
}

static int parse_handle(const char *hex, struct inotify_watch *watch)
{
	if (watch->handle_bytes > INOTIFY_HANDLE_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < watch->handle_bytes; i++) {
		unsigned int byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return -EINVAL;
		watch->handle[i] = byte;
	}
	return 0;
}

static int parse_watch(const char *line, struct inotify_watch *watch)
{
	int handle_at = 0;

	if (sscanf(line,
		   "%" SCNi32 " ino:%" SCNx64 " sdev:%" SCNx32 " mask:%" SCNx32
		   " ignored_mask:%" SCNx32,
		   &watch->wd, &watch->inode, &watch->dev, &watch->mask, &watch->ignored_mask) != 5)
		return -EINVAL;
	if (sscanf(line,
		   "%*i ino:%*x sdev:%*x mask:%*x ignored_mask:%*x fhandle-bytes:%" SCNx32
		   " fhandle-type:%" SCNx32 " f_handle:%n",
		   &watch->handle_bytes, (uint32_t *)&watch->handle_type, &handle_at) != 2 ||
	    !handle_at) {
		watch->handle_bytes = 0;
		return 0;
	}
	return parse_handle(line + handle_at, watch);
}

static int compare_wd(const void *a, const void *b)
{
	const struct inotify_watch *left = a, *right = b;

	return left->wd < right->wd ? -1 : left->wd > right->wd;
}

int fdinfo_parse_inotify(const char *text, struct inotify_watch **watches, size_t *count)
{
	size_t total = count_lines(text, "inotify wd:");
	scoped_free struct inotify_watch *list = NULL;

	*watches = NULL;
	*count = 0;
	if (!total)
		return 0;
	list = calloc(total, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < total; i++) {
		text = find_line(text, "inotify wd:");
		if (parse_watch(text, &list[i]))
			return -EINVAL;
	}
	qsort(list, total, sizeof(*list), compare_wd);
	*watches = take_ptr(list);
	*count = total;
	return 0;
}

int fdinfo_parse_pidfd(const char *text, int32_t *pid, int32_t *innermost)
{
	const char *line = find_line(text, "NSpid:");

	if (scan_value(text, "Pid:", "%" SCNi32, pid))
		return -EINVAL;
	*innermost = *pid;
	while (line && *line && *line != '\n') {
		int used = 0;

		if (sscanf(line, " %" SCNi32 "%n", innermost, &used) != 1)
			break;
		line += used;
	}
	return 0;
}
