/* SPDX-License-Identifier: GPL-2.0 */
/* What the daemon did: counted by the engine's thread, reported while it runs and at the end. */
#ifndef LAZY_STATS_H
#define LAZY_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "transport/client.h"
#include "util/clock.h"

struct lazyd;
struct space;

enum lazy_cause {
	CAUSE_DEMAND,
	CAUSE_NEIGHBOUR,
	CAUSE_BACKGROUND,
	CAUSE_EAGER,
	CAUSE_WORKING_SET,
	CAUSE_COUNT
};

enum { LATENCY_BUCKETS = 32, STATS_TASKS_MAX = 4096 };

/* How long the threads of one address space have waited for pages, all together. */
struct blocked {
	uint64_t faults;
	uint64_t demand_faults; /* on pages that were owed */
	uint64_t ns, longest;	/* from reading the fault to waking the task */
};

/* An address space that is complete, or has ended. */
struct stats_task {
	int32_t image_pid;
	pid_t host_pid; /* 0: was never known */
	bool is_forked; /* a child of a restored one */
	struct blocked blocked;
};

struct lazy_stats {
	uint64_t start;	       /* ns: the first hello */
	uint64_t complete;     /* ns: the last owed page; 0 before */
	uint64_t first_answer; /* ns: the first fault that was answered; 0 before */
	uint64_t announced;    /* pages owed at the hellos, of 4 KiB */
	uint64_t forked;       /* added by forks */
	uint64_t pages[CAUSE_COUNT];
	uint64_t zero_pages; /* faults answered with zeros */
	uint64_t dropped;    /* unmapped, discarded or with a task that ended */
	uint64_t already;    /* found there when they were to be delivered */
	uint64_t poisoned;
	uint64_t faults, demand_faults, parked;
	uint64_t events[4];		   /* fork, remap, remove, unmap */
	uint64_t latency[LATENCY_BUCKETS]; /* by log2 of ns, from reading the fault to waking the
					      task */
	uint64_t latency_max;		   /* ns */
	struct stats_task *tasks;	   /* the first that ended, up to STATS_TASKS_MAX */
	size_t nr_tasks;
	struct client_figures source; /* with has_source: of the connections to a page server */
	bool has_source;
};

/* Faults came. */
void stats_faults(struct lazyd *lazyd, struct space *space, size_t count);
/* One of them is on a page that is owed. */
void stats_demand(struct lazyd *lazyd, struct space *space);
/* A fault read at `since` (clock_ns()) is answered. */
void stats_answered(struct lazyd *lazyd, struct space *space, uint64_t since);
/* The space is about to be freed. */
void stats_space_ended(struct lazyd *lazyd, const struct space *space);
void stats_fini(struct lazy_stats *stats);
/* Pages delivered or otherwise settled so far, and of how many. */
uint64_t stats_settled(const struct lazy_stats *stats);
uint64_t stats_total(const struct lazy_stats *stats);
/* The bound of the bucket below which `share` of all faults were answered, in ns. */
uint64_t stats_percentile(const struct lazy_stats *stats, double share);
/* Status file and progress bar, as asked for in the options. */
void stats_report(struct lazyd *lazyd, bool is_last);
/* lazy-pages-stats.json and stats-lazy-pages in the work directory, and --display-stats. Errors are
 * logged. */
void stats_finish(struct lazyd *lazyd);

/* stats_text.c */
void stats_put_json(FILE *out, struct lazyd *lazyd, bool is_done);
void stats_put_text(FILE *out, struct lazyd *lazyd);

#endif
