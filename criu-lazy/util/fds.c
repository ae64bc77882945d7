// SPDX-License-Identifier: GPL-2.0
#include "util/fds.h"

#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int compare_ints(const void *left, const void *right)
{
	int a = *(const int *)left, b = *(const int *)right;

	return a < b ? -1 : a > b;
}

static int close_between(unsigned int first, unsigned int last)
{
	return first <= last && syscall(SYS_close_range, first, last, 0) ? -errno : 0;
}

int fds_close_others(int *keep, size_t count)
{
	unsigned int from = 0;
	int ret = 0;

	if (count)
		qsort(keep, count, sizeof(*keep), compare_ints);
	for (size_t i = 0; !ret && i < count; i++) {
		unsigned int next = (unsigned int)keep[i];

		if (keep[i] < 0)
			continue;
		if (next > from)
			ret = close_between(from, next - 1);
		from = next + 1;
	}
	return ret ?: close_between(from, UINT_MAX);
}
