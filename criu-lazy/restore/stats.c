// SPDX-License-Identifier: GPL-2.0
#include "restore/stats.h"

#include <stdio.h>

#include "restore/restore_task.h"
#include "stats.pb-c.h"
#include "util/log.h"

void times_mark(struct timespec *at)
{
	clock_gettime(CLOCK_MONOTONIC, at);
}

static uint32_t micros_between(const struct timespec *a, const struct timespec *b)
{
	return (b->tv_sec - a->tv_sec) * 1000000 + (b->tv_nsec - a->tv_nsec) / 1000;
}

/* Pages read by us; the lazy-pages daemon keeps its own count. */
static uint64_t count_pages(const struct restore *restore)
{
	const struct task *task;
	uint64_t bytes = 0;

	tree_for_each (task, &restore->tree) {
		const struct restore_task *rt = task->restore;
		size_t count = rt->pages ? page_source_extent_count(rt->pages) : 0;

		for (size_t i = 0; i < count; i++) {
			const struct page_extent *extent = &page_source_extents(rt->pages)[i];

			if (!lazy_plan_covers(&rt->lazy, extent->vaddr))
				bytes += extent->len;
		}
	}
	return bytes / 4096;
}

static void display(const RestoreStatsEntry *entry)
{
	printf("Displaying restore stats:\n"
	       "Restore time: %u us\n"
	       "Forking time: %u us\n"
	       "Pages restored: %lu\n",
	       entry->restore_time, entry->forking_time, (unsigned long)entry->pages_restored);
}

int stats_write(const struct restore *restore, const struct restore_times *times)
{
	StatsEntry stats = STATS_ENTRY__INIT;
	RestoreStatsEntry entry = RESTORE_STATS_ENTRY__INIT;
	struct image_dir *dir = NULL;
	int ret;

	entry.forking_time = micros_between(&times->start, &times->forked);
	entry.restore_time = micros_between(&times->start, &times->done);
	entry.has_pages_restored = true;
	entry.pages_restored = count_pages(restore);
	stats.restore = &entry;
	ret = image_dir_open(".", -1, &dir);
	if (!ret)
		ret = image_write_one(dir, IMG_STATS, IMAGE_STATS_RESTORE, &stats.base);
	if (ret)
		log_warn("restore: no statistics image: error %d", ret);
	if (dir)
		image_dir_close(dir);
	if (restore->opts->display_stats)
		display(&entry);
	return 0;
}
