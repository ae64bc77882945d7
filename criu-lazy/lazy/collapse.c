// SPDX-License-Identifier: GPL-2.0
#include "lazy/collapse.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lazy/engine.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/scope.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE		(2ull << 20)
#define CALL_BYTES	(16ull << 20) /* a call costs a drain of all processors' page lists */
#define BUDGET_NS	250000000ull
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_ONCE	(1ull << 56) /* mapped by nobody else */

enum { PAGES = HUGE / LAZY_PAGE };

struct collapse {
	SLIST_ENTRY(collapse) link;
	int pidfd, pagemap;
	pid_t pid;
	size_t nr_ranges;
	struct addr_range ranges[];
};

/* Areas side by side are one here: a huge page may lie across. */
static size_t gather(struct owed *owed, struct addr_range *ranges)
{
	struct owed_area *area;
	size_t count = 0;

	owed_for_each(area, owed)
	{
		if (area->kind != LAZY_RANGE_ANON || !(area->flags & LAZY_RANGE_HUGEPAGE))
			continue;
		if (count && ranges[count - 1].end == area->start)
			ranges[count - 1].end = area->end;
		else
			ranges[count++] =
				(struct addr_range){ .start = area->start, .end = area->end };
	}
	return count;
}

void collapse_note(struct lazyd *lazyd, struct space *space)
{
	struct collapse *noted;

	if (space->pidfd < 0 || !space->host_pid || lazyd->is_leaving)
		return;
	noted = malloc(sizeof(*noted) + space->owed.nr_areas * sizeof(noted->ranges[0]));
	if (!noted)
		return;
	*noted = (struct collapse){ .pid = space->host_pid, .pagemap = -1 };
	noted->nr_ranges = gather(&space->owed, noted->ranges);
	if (!noted->nr_ranges) {
		free(noted);
		return;
	}
	engine_unwatch(lazyd, space->pidfd);
	noted->pidfd = take_fd(&space->pidfd);
	SLIST_INSERT_HEAD(&lazyd->collapses, noted, link);
}

static bool has_ended(int pidfd)
{
	struct pollfd over = { .fd = pidfd, .events = POLLIN };

	return poll(&over, 1, 0) > 0;
}

/* Is a huge page at `at` worth its memory? Pages that others map too would be copied. */
static bool is_worth(const struct collapse *noted, uint64_t at)
{
	uint64_t entries[PAGES];
	size_t count = 0;

	if (pread(noted->pagemap, entries, sizeof(entries), (off_t)(at / LAZY_PAGE * 8)) !=
	    sizeof(entries))
		return false;
	for (size_t i = 0; i < PAGES; i++)
		count += entries[i] & PAGEMAP_PRESENT && entries[i] & PAGEMAP_ONCE;
	return count >= PAGES / 2;
}

/* What is worth it from `at` on, at most CALL_BYTES; *at moves past it and what is not. */
static struct iovec next_part(const struct collapse *noted, uint64_t *at, uint64_t end)
{
	uint64_t start;

	while (*at + HUGE <= end && !is_worth(noted, *at))
		*at += HUGE;
	start = *at;
	while (*at + HUGE <= end && *at - start < CALL_BYTES &&
	       (*at == start || is_worth(noted, *at)))
		*at += HUGE;
	return (struct iovec){ .iov_base = (void *)(uintptr_t)start, .iov_len = *at - start };
}

/* Bytes. The areas may be others by now: the kernel refuses what cannot be. */
static uint64_t collapse_range(const struct collapse *noted, const struct addr_range *range,
			       uint64_t until)
{
	uint64_t at = (range->start + HUGE - 1) / HUGE * HUGE, done = 0;

	while (clock_ns() < until) {
		struct iovec part = next_part(noted, &at, range->end);

		if (!part.iov_len)
			break;
		if (syscall(SYS_process_madvise, noted->pidfd, &part, 1, MADV_COLLAPSE, 0) > 0)
			done += part.iov_len;
	}
	return done;
}

static void collapse_process(struct collapse *noted, uint64_t until)
{
	uint64_t since = clock_ns(), done = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", noted->pid);
	noted->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (noted->pagemap < 0 || has_ended(noted->pidfd)) /* of whom? */
		return;
	for (size_t i = 0; i < noted->nr_ranges; i++)
		done += collapse_range(noted, &noted->ranges[i], until);
	log_debug("pid %d: %" PRIu64 " KiB in huge pages again after %" PRIu64 " us", noted->pid,
		  done >> 10, (clock_ns() - since) / 1000);
}

void collapse_all(struct lazyd *lazyd)
{
	uint64_t until = clock_ns() + BUDGET_NS;
	struct collapse *noted;

	while ((noted = SLIST_FIRST(&lazyd->collapses))) {
		SLIST_REMOVE_HEAD(&lazyd->collapses, link);
		if (!lazyd->is_leaving)
			collapse_process(noted, until);
		if (noted->pagemap >= 0)
			close(noted->pagemap);
		close(noted->pidfd);
		free(noted);
	}
}
