/* SPDX-License-Identifier: GPL-2.0 */
/* What the daemon did: counted by the engine's thread, reported while it runs and at the end. */
#ifndef LAZY_STATS_H
#define LAZY_STATS_H

#include <stdbool.h>
#include <stdint.h>

struct lazyd;

enum lazy_cause { CAUSE_DEMAND, CAUSE_NEIGHBOUR, CAUSE_BACKGROUND, CAUSE_EAGER, CAUSE_COUNT };

enum { LATENCY_BUCKETS = 32 };

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
	uint64_t faults, parked;
	uint64_t events[4];		   /* fork, remap, remove, unmap */
	uint64_t latency[LATENCY_BUCKETS]; /* by log2 of ns, from reading the fault to waking the
					      task */
	uint64_t latency_max;		   /* ns */
	int bar_width;			   /* of the last progress bar drawn, 0: none */
};

void stats_latency(struct lazy_stats *stats, uint64_t ns);
/* Pages delivered or otherwise settled so far. */
uint64_t stats_settled(const struct lazy_stats *stats);
/* Status file and progress bar, as asked for in the options. */
void stats_report(struct lazyd *lazyd, bool is_last);
/* lazy-pages-stats.json and stats-lazy-pages in the work directory. Errors are logged. */
void stats_finish(struct lazyd *lazyd);

#endif
