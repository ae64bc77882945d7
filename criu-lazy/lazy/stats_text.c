// SPDX-License-Identifier: GPL-2.0
/* The figures as JSON (status file and lazy-pages-stats.json), and for people (--display-stats). */
#include <inttypes.h>

#include "lazy/engine.h"
#include "lazy/stats.h"
#include "util/clock.h"

enum { NS_PER_US = 1000 };

static double us(uint64_t ns)
{
	return (double)ns / NS_PER_US;
}

static void put_latency(FILE *out, const struct lazy_stats *stats)
{
	const char *comma = "";

	fprintf(out,
		"  \"fault_latency\": { \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, "
		"\"max_us\": %.1f, \"histogram_ns\": {",
		us(stats_percentile(stats, 0.50)), us(stats_percentile(stats, 0.90)),
		us(stats_percentile(stats, 0.99)), us(stats->latency_max));
	for (int i = 0; i < LATENCY_BUCKETS; i++) {
		if (!stats->latency[i])
			continue;
		fprintf(out, "%s \"%" PRIu64 "\": %" PRIu64, comma, (uint64_t)2 << i,
			stats->latency[i]);
		comma = ",";
	}
	fprintf(out, " } }");
}

static void put_task(FILE *out, const struct stats_task *task, bool is_first)
{
	fprintf(out,
		"%s\n    { \"task\": %d, \"pid\": %d, \"forked\": %s, \"faults\": %" PRIu64
		", \"demand_faults\": %" PRIu64 ", \"blocked_us\": %.1f, \"longest_us\": %.1f }",
		is_first ? "" : ",", task->image_pid, task->host_pid,
		task->is_forked ? "true" : "false", task->blocked.faults,
		task->blocked.demand_faults, us(task->blocked.ns), us(task->blocked.longest));
}

/* Those that are complete, then those that are not. */
static void put_blocked(FILE *out, struct lazyd *lazyd)
{
	const struct lazy_stats *stats = &lazyd->stats;
	const struct space *space;
	bool is_first = true;

	fprintf(out, "  \"blocked\": [");
	for (size_t i = 0; i < stats->nr_tasks; i++, is_first = false)
		put_task(out, &stats->tasks[i], is_first);
	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		const struct stats_task task = { space->image_pid, space->host_pid,
						 space->is_forked, space->blocked };

		put_task(out, &task, is_first);
		is_first = false;
	}
	fprintf(out, " ],\n");
}

static uint64_t remote_pages(const struct lazy_stats *stats)
{
	return stats->has_source ? stats->source.pages_asked + stats->source.pages_pushed : 0;
}

static uint64_t delivered_pages(const struct lazy_stats *stats)
{
	uint64_t sum = 0;

	for (int i = 0; i < CAUSE_COUNT; i++)
		sum += stats->pages[i];
	return sum;
}

static uint64_t local_pages(const struct lazy_stats *stats)
{
	uint64_t all = delivered_pages(stats), remote = remote_pages(stats);

	return all > remote ? all - remote : 0;
}

static void put_source(FILE *out, const struct client_figures *source)
{
	fprintf(out,
		"  \"source\": { \"protocol\": \"%s\", \"tls\": %s, \"lz4\": %s, \"losses\": "
		"%" PRIu64 ",\n    \"requests\": %" PRIu64 ", \"pages_asked\": %" PRIu64
		", \"pages_pushed\": %" PRIu64 ", \"bytes_uncompressed\": %" PRIu64 ",\n",
		source->is_compat ? "criu" : "own", source->is_tls ? "true" : "false",
		source->has_lz4 ? "true" : "false", source->losses, source->gets,
		source->pages_asked, source->pages_pushed,
		(source->pages_asked + source->pages_pushed) * (uint64_t)LAZY_PAGE);
	fprintf(out,
		"    \"demand\": { \"bytes_in\": %" PRIu64 ", \"bytes_out\": %" PRIu64
		" },\n    \"bulk\": { \"bytes_in\": %" PRIu64 ", \"bytes_out\": %" PRIu64 " } },\n",
		source->demand_in, source->demand_out, source->bulk_in, source->bulk_out);
}

static void put_pages(FILE *out, const struct lazy_stats *stats)
{
	fprintf(out,
		"  \"pages\": { \"total\": %" PRIu64 ", \"demand\": %" PRIu64
		", \"neighbour\": %" PRIu64 ", \"background\": %" PRIu64 ", \"eager\": %" PRIu64
		", \"working_set\": %" PRIu64 ", \"zero\": %" PRIu64 ", \"dropped\": %" PRIu64
		", \"already_there\": %" PRIu64 ", \"poisoned\": %" PRIu64 " },\n",
		stats_total(stats), stats->pages[CAUSE_DEMAND], stats->pages[CAUSE_NEIGHBOUR],
		stats->pages[CAUSE_BACKGROUND], stats->pages[CAUSE_EAGER],
		stats->pages[CAUSE_WORKING_SET], stats->zero_pages, stats->dropped, stats->already,
		stats->poisoned);
	fprintf(out, "  \"bytes\": { \"local\": %" PRIu64 ", \"remote\": %" PRIu64 " },\n",
		local_pages(stats) * (uint64_t)LAZY_PAGE,
		remote_pages(stats) * (uint64_t)LAZY_PAGE);
}

void stats_put_json(FILE *out, struct lazyd *lazyd, bool is_done)
{
	const struct lazy_stats *stats = &lazyd->stats;
	uint64_t total = stats_total(stats), settled = stats_settled(stats);
	uint64_t end = stats->complete ? stats->complete : clock_ns();

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
	put_pages(out, stats);
	fprintf(out,
		"  \"events\": { \"fork\": %" PRIu64 ", \"remap\": %" PRIu64
		", \"remove\": %" PRIu64 ", \"unmap\": %" PRIu64 " },\n",
		stats->events[0], stats->events[1], stats->events[2], stats->events[3]);
	fprintf(out,
		"  \"faults\": %" PRIu64 ",\n  \"demand_faults\": %" PRIu64
		",\n  \"faults_parked\": %" PRIu64 ",\n  \"first_answer_at_us\": %" PRIu64 ",\n",
		stats->faults, stats->demand_faults, stats->parked,
		stats->first_answer / NS_PER_US);
	if (stats->has_source)
		put_source(out, &stats->source);
	put_blocked(out, lazyd);
	put_latency(out, stats);
	fprintf(out, "\n}\n");
}

void stats_put_text(FILE *out, struct lazyd *lazyd)
{
	const struct lazy_stats *stats = &lazyd->stats;
	uint64_t blocked = 0;

	for (size_t i = 0; i < stats->nr_tasks; i++)
		blocked += stats->tasks[i].blocked.ns;
	fprintf(out,
		"Displaying lazy pages stats:\n"
		"Time to completion: %" PRIu64 " us\n"
		"Pages: %" PRIu64 " on demand, %" PRIu64 " around, %" PRIu64
		" of the working set, %" PRIu64 " in the background, %" PRIu64 " eager\n"
		"Faults: %" PRIu64 ", %" PRIu64 " of them on pages of the image\n"
		"Fault latency: p50 %.1f us, p99 %.1f us, max %.1f us\n"
		"Time blocked: %.1f us in %zu address spaces\n",
		(stats->complete - stats->start) / NS_PER_US, stats->pages[CAUSE_DEMAND],
		stats->pages[CAUSE_NEIGHBOUR], stats->pages[CAUSE_WORKING_SET],
		stats->pages[CAUSE_BACKGROUND], stats->pages[CAUSE_EAGER], stats->faults,
		stats->demand_faults, us(stats_percentile(stats, 0.50)),
		us(stats_percentile(stats, 0.99)), us(stats->latency_max), us(blocked),
		stats->nr_tasks);
	if (stats->has_source)
		fprintf(out,
			"Source: %" PRIu64 " bytes on the demand channel, %" PRIu64
			" in bulk, for %" PRIu64 " of pages; %" PRIu64 " losses\n",
			stats->source.demand_in, stats->source.bulk_in,
			remote_pages(stats) * (uint64_t)LAZY_PAGE, stats->source.losses);
}
