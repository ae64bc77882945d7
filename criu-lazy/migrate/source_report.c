// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "migrate/source.h"
#include "util/clock.h"

static double ms(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) / 1000 : 0;
}

static const char *where(const struct source *source)
{
	return source->opts->to_host ? source->opts->to_host : "the destination";
}

static bool is_shown(const struct source *source)
{
	return isatty(STDERR_FILENO) && (source->opts->progress || source->opts->verbosity <= 2);
}

static const char *const words[] = {
	[SOURCE_BEGIN] = "connecting",
	[SOURCE_GREETED] = "stopping the tree",
	[SOURCE_DUMPED] = "sending what is not memory",
	[SOURCE_MADE] = "made there",
	[SOURCE_COMMITTED] = "starting there",
	[SOURCE_RUNNING] = "runs there",
	[SOURCE_COMPLETE] = "complete",
};

void source_show(const struct source *source)
{
	if (!is_shown(source))
		return;
	if (source->state < SOURCE_RUNNING)
		dprintf(STDERR_FILENO, "\r\033[Kmigrate %d to %s: %s", source->opts->tree_pid,
			where(source), words[source->state]);
	else
		dprintf(STDERR_FILENO,
			"\r\033[Kmigrate %d to %s: %s, downtime %.1f ms, %.0f %% of memory, %.1f s",
			source->opts->tree_pid, where(source), words[source->state],
			ms(source->frozen_at, source->running_at), source->percent,
			ms(source->running_at, clock_us()) / 1000);
}

void source_show_end(const struct source *source)
{
	if (is_shown(source))
		dprintf(STDERR_FILENO, "\r\033[K");
}

static double figure(const struct source *source, const char *name)
{
	const char *at = source->figures ? strstr(source->figures, name) : NULL;
	double value;

	return at && sscanf(at + strlen(name), "\": %lf", &value) == 1 ? value : 0;
}

/* The daemon's clock is the destination's, as is that of "running": only the difference counts. */
static double first_reply_ms(const struct source *source)
{
	double running, first = figure(source, "first_answer_at_us");

	if (!source->figures || sscanf(source->figures, "%lf", &running) != 1 || !first)
		return 0;
	return first > running ? (first - running) / 1000 : 0;
}

void source_print_summary(struct source *source)
{
	const double mib = figure(source, "\"total") * 4096 / (1 << 20);

	printf("%d moved to %s: downtime %.1f ms, first page asked for and answered %.1f ms later, "
	       "all %.1f MiB there after %.2f s (%.0f faults, p99 %.0f us; %.1f KiB of images)\n",
	       source->opts->tree_pid, where(source), ms(source->frozen_at, source->running_at),
	       first_reply_ms(source), mib, ms(source->running_at, source->complete_at) / 1000,
	       figure(source, "\"faults"), figure(source, "\"p99_us"), (double)source->sent / 1024);
	fflush(stdout);
}
