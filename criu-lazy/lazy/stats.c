// SPDX-License-Identifier: GPL-2.0
#include "lazy/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/image.h"
#include "lazy/engine.h"
#include "lazy/remote.h"
#include "stats.pb-c.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/scope.h"

#define STATS_FILE "lazy-pages-stats.json"

enum { BAR_WIDTH = 30, NS_PER_US = 1000 };

void stats_faults(struct lazyd *lazyd, struct space *space, size_t count)
{
	lazyd->stats.faults += count;
	space->blocked.faults += count;
}

void stats_demand(struct lazyd *lazyd, struct space *space)
{
	lazyd->stats.demand_faults++;
	space->blocked.demand_faults++;
}

static void add_latency(struct lazy_stats *stats, uint64_t ns)
{
	int bucket = ns ? 63 - __builtin_clzll(ns) : 0;

	stats->latency[bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1]++;
	if (!stats->first_answer)
		stats->first_answer = clock_ns();
	if (ns > stats->latency_max)
		stats->latency_max = ns;
}

void stats_answered(struct lazyd *lazyd, struct space *space, uint64_t since)
{
	uint64_t ns = clock_ns() - since;

	add_latency(&lazyd->stats, ns);
	space->blocked.ns += ns;
	if (ns > space->blocked.longest)
		space->blocked.longest = ns;
}

void stats_space_ended(struct lazyd *lazyd, const struct space *space)
{
	struct lazy_stats *stats = &lazyd->stats;
	struct stats_task *grown;

	if (stats->nr_tasks == STATS_TASKS_MAX)
		return;
	grown = realloc(stats->tasks, (stats->nr_tasks + 1) * sizeof(*grown));
	if (!grown)
		return;
	stats->tasks = grown;
	grown[stats->nr_tasks++] = (struct stats_task){
		.image_pid = space->image_pid,
		.host_pid = space->host_pid,
		.is_forked = space->is_forked,
		.blocked = space->blocked,
	};
}

void stats_fini(struct lazy_stats *stats)
{
	free(stats->tasks);
	stats->tasks = NULL;
	stats->nr_tasks = 0;
}

uint64_t stats_settled(const struct lazy_stats *stats)
{
	uint64_t sum = stats->dropped + stats->already + stats->poisoned;

	for (int i = 0; i < CAUSE_COUNT; i++)
		sum += stats->pages[i];
	return sum;
}

uint64_t stats_total(const struct lazy_stats *stats)
{
	return stats->announced + stats->forked;
}

uint64_t stats_percentile(const struct lazy_stats *stats, double share)
{
	uint64_t total = 0, sum = 0;

	for (int i = 0; i < LATENCY_BUCKETS; i++)
		total += stats->latency[i];
	for (int i = 0; i < LATENCY_BUCKETS; i++) {
		sum += stats->latency[i];
		if (total && (double)sum >= share * (double)total)
			return 2ull << i;
	}
	return 0;
}

/* A reader sees the old text or the new, never half of it. */
static int write_json(struct lazyd *lazyd, int dir, const char *path, bool is_done)
{
	scoped_free char *text = NULL, *temporary = NULL;
	FILE *out;
	size_t len;
	int fd;

	out = open_memstream(&text, &len);
	if (!out || asprintf(&temporary, "%s.tmp", path) < 0)
		return -ENOMEM;
	stats_put_json(out, lazyd, is_done);
	if (fclose(out))
		return -ENOMEM;
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len) {
		close(fd);
		unlinkat(dir, temporary, 0);
		return -EIO;
	}
	close(fd);
	return renameat(dir, temporary, dir, path) ? -errno : 0;
}

static void draw_bar(struct lazyd *lazyd, bool is_last)
{
	struct lazy_stats *stats = &lazyd->stats;
	uint64_t total = stats_total(stats), settled = stats_settled(stats);
	char bar[BAR_WIDTH + 1];
	double share = total ? (double)settled / (double)total : 1;
	double seconds = (double)(clock_ns() - stats->start) / 1e9;

	if (share > 1 || (is_last && !lazyd->error))
		share = 1;
	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', (size_t)(share * BAR_WIDTH));
	bar[BAR_WIDTH] = '\0';
	dprintf(STDERR_FILENO, "\r[%s] %3.0f%%  %.0f MiB  %.2f s  %" PRIu64 " faults%s", bar,
		share * 100, (double)settled * LAZY_PAGE / (1 << 20), seconds, stats->faults,
		is_last ? "\n" : "");
}

void stats_report(struct lazyd *lazyd, bool is_last)
{
	const struct options *opts = lazyd->opts;
	const struct lazy_stats *stats = &lazyd->stats;
	int ret = 0;

	lazyd->last_report = clock_ns();
	remote_figures(lazyd);
	if (opts->status_file)
		ret = write_json(lazyd, lazyd->work_dir, opts->status_file, is_last);
	if (ret && is_last)
		log_ret(ret, "status file %s", opts->status_file);
	if (opts->progress && isatty(STDERR_FILENO))
		draw_bar(lazyd, is_last);
	log_info("lazy pages: %" PRIu64 " of %" PRIu64 ", %" PRIu64 " faults", stats_settled(stats),
		 stats_total(stats), stats->faults);
}

/* Beside stats-restore, which is the restorer's and may be written at the same time. */
static int write_image(struct lazyd *lazyd)
{
	const struct lazy_stats *stats = &lazyd->stats;
	StatsEntry entry = STATS_ENTRY__INIT;
	RestoreStatsEntry restore = RESTORE_STATS_ENTRY__INIT;
	struct image_dir *dir = NULL;
	int ret;

	restore.has_pages_restored = true;
	for (int i = 0; i < CAUSE_COUNT; i++)
		restore.pages_restored += stats->pages[i];
	restore.restore_time = (uint32_t)((stats->complete - stats->start) / NS_PER_US);
	entry.restore = &restore;
	ret = image_dir_open(NULL, fcntl(lazyd->work_dir, F_DUPFD_CLOEXEC, 0), &dir);
	if (!ret)
		ret = image_write_one(dir, IMG_STATS, IMAGE_STATS_LAZY_PAGES, &entry.base);
	if (dir)
		image_dir_close(dir);
	return ret;
}

void stats_finish(struct lazyd *lazyd)
{
	const struct lazy_stats *stats = &lazyd->stats;
	int ret;

	stats_report(lazyd, true);
	ret = write_json(lazyd, lazyd->work_dir, STATS_FILE, true);
	if (ret)
		log_ret(ret, "%s", STATS_FILE);
	ret = write_image(lazyd);
	if (ret)
		log_ret(ret, "statistics image");
	if (lazyd->opts->display_stats) {
		stats_put_text(stdout, lazyd);
		fflush(stdout);
	}
	log_info("lazy pages: all there after %" PRIu64 " us: %" PRIu64 " on demand, %" PRIu64
		 " around, %" PRIu64 " in the background, %" PRIu64 " eager, %" PRIu64 " zeros",
		 (stats->complete - stats->start) / NS_PER_US, stats->pages[CAUSE_DEMAND],
		 stats->pages[CAUSE_NEIGHBOUR], stats->pages[CAUSE_BACKGROUND],
		 stats->pages[CAUSE_EAGER], stats->zero_pages);
}
