/* SPDX-License-Identifier: GPL-2.0 */
/* What a restore took: the stats-restore image and --display-stats. */
#ifndef RESTORE_STATS_H
#define RESTORE_STATS_H

#include <time.h>

#include "restore/restore.h"

struct restore_times {
	struct timespec start, forked, done;
};

/* *at: now, of the monotonic clock. */
void times_mark(struct timespec *at);
/* Writes the image into the work directory (the current one). Failures are warned of only. */
int stats_write(const struct restore *restore, const struct restore_times *times);

#endif
