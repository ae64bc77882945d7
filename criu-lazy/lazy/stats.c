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
#include "stats.pb-c.h"
#include "util/log.h"
#include "util/scope.h"

#define STATS_FILE "lazy-pages-stats.json"

enum { BAR_WIDTH = 30, NS_PER_US = 1000 };

void stats_latency(struct lazy_stats *stats, uint64_t ns)
{
	int bucket = ns ? 63 - __builtin_clzll(ns) : 0;

	stats->latency[bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1]++;
	if (!stats->first_answer)
		stats->first_answer = lazy_now();
	if (ns > stats->latency_max)
		stats->latency_max = ns;
}

uint64_t stats_settled(const struct lazy_stats *stats)
{
	uint64_t sum = stats->dropped + stats->already + stats->poisoned;

	for (int i = 0; i < CAUSE_COUNT; i++)
		sum += stats->pages[i];
	return sum;
}

/* The bound of the bucket below which `share` of all faults were answered, in ns. */
static uint64_t percentile(const struct lazy_stats *stats, double share)
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

static void put_latency(FILE *out, const struct lazy_stats *stats)
{
	const char *comma = "";

	fprintf(out,
		"  \"fault_latency\": { \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, "
		"\"max_us\": %.1f, \"histogram_ns\": {",
		(double)percentile(stats, 0.50) / NS_PER_US,
		(double)percentile(stats, 0.90) / NS_PER_US,
		(double)percentile(stats, 0.99) / NS_PER_US,
		(double)stats->latency_max / NS_PER_US);
	for (int i = 0; i < LATENCY_BUCKETS; i++) {
		if (!stats->latency[i])
			continue;
		fprintf(out, "%s \"%" PRIu64 "\": %" PRIu64, comma, (uint64_t)2 << i,
			stats->latency[i]);
		comma = ",";
	}
	fprintf(out, " } }");
}

static void put_json(FILE *out, struct lazyd *lazyd, bool is_done)
{
	const struct lazy_stats *stats = &lazyd->stats;
	uint64_t total = stats->announced + stats->forked, settled = stats_settled(stats);
	uint64_t end = stats->complete ? stats->complete : lazy_now();

	if (is_done || settled > total)
		settled = total;
	fprintf(out,
		"{\n  \"state\": \"%s\",\n  \"tasks\": %u,\n  \"tasks_announced\": %u,\n"
		"  \"elapsed_us\": %" PRIu64 ",\n  \"percent\": %.2f,\n",
		lazyd->error ? "failed"
		: is_done    ? "complete"
			     : "running",
		lazyd->nr_hellos, lazyd->nr_tasks,
		stats->start ? (end - stats->start) / NS_PER_US : 0,
		total ? 100.0 * (double)settled / (double)total : 0.0);
	fprintf(out,
		"  \"pages\": { \"total\": %" PRIu64 ", \"demand\": %" PRIu64
		", \"neighbour\": %" PRIu64 ", \"background\": %" PRIu64 ", \"eager\": %" PRIu64
		", \"zero\": %" PRIu64 ", \"dropped\": %" PRIu64 ", \"already_there\": %" PRIu64
		", \"poisoned\": %" PRIu64 " },\n",
		total, stats->pages[CAUSE_DEMAND], stats->pages[CAUSE_NEIGHBOUR],
		stats->pages[CAUSE_BACKGROUND], stats->pages[CAUSE_EAGER], stats->zero_pages,
		stats->dropped, stats->already, stats->poisoned);
	fprintf(out, "  \"bytes\": { \"local\": %" PRIu64 ", \"remote\": 0 },\n",
		(stats->pages[CAUSE_DEMAND] + stats->pages[CAUSE_NEIGHBOUR] +
		 stats->pages[CAUSE_BACKGROUND] + stats->pages[CAUSE_EAGER]) *
			(uint64_t)LAZY_PAGE);
	fprintf(out,
		"  \"events\": { \"fork\": %" PRIu64 ", \"remap\": %" PRIu64
		", \"remove\": %" PRIu64 ", \"unmap\": %" PRIu64 " },\n",
		stats->events[0], stats->events[1], stats->events[2], stats->events[3]);
	fprintf(out,
		"  \"faults\": %" PRIu64 ",\n  \"faults_parked\": %" PRIu64
		",\n  \"first_answer_at_us\": %" PRIu64 ",\n",
		stats->faults, stats->parked, stats->first_answer / NS_PER_US);
	put_latency(out, stats);
	fprintf(out, "\n}\n");
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
	put_json(out, lazyd, is_done);
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
	uint64_t total = stats->announced + stats->forked, settled = stats_settled(stats);
	char bar[BAR_WIDTH + 1];
	double share = total ? (double)settled / (double)total : 1;
	double seconds = (double)(lazy_now() - stats->start) / 1e9;

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

	lazyd->last_report = lazy_now();
	if (opts->status_file)
		ret = write_json(lazyd, lazyd->work_dir, opts->status_file, is_last);
	if (ret && is_last)
		log_ret(ret, "status file %s", opts->status_file);
	if (opts->progress && isatty(STDERR_FILENO))
		draw_bar(lazyd, is_last);
	log_info("lazy pages: %" PRIu64 " of %" PRIu64 ", %" PRIu64 " faults", stats_settled(stats),
		 stats->announced + stats->forked, stats->faults);
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
	log_info("lazy pages: all there after %" PRIu64 " us: %" PRIu64 " on demand, %" PRIu64
		 " around, %" PRIu64 " in the background, %" PRIu64 " eager, %" PRIu64 " zeros",
		 (stats->complete - stats->start) / NS_PER_US, stats->pages[CAUSE_DEMAND],
		 stats->pages[CAUSE_NEIGHBOUR], stats->pages[CAUSE_BACKGROUND],
		 stats->pages[CAUSE_EAGER], stats->zero_pages);
}
