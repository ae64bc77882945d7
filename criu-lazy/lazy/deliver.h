/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Delivery: copies runs of owed pages from their source into an address space and settles the
 * books. Which pages, and when, is for fill.c to say. Engine's thread only.
 */
#ifndef LAZY_DELIVER_H
#define LAZY_DELIVER_H

#include "lazy/engine.h"

/* No background and no retry for a while, which doubles until something works. */
void deliver_backoff(struct space *space);

/* Pages of [start, end) are in the space: they are owed no more, and counted under the cause. */
void deliver_account(struct lazyd *lazyd, struct owed_area *area, uint64_t start, uint64_t end,
		     enum lazy_cause cause);

/*
 * Delivers what is here of a run of owed pages. 0; -EINPROGRESS: some of it is not here, and will
 * come; -ENOBUFS: enough is under way from elsewhere; -EAGAIN, -ENOMEM: not now; -ESRCH, -ENOSPC:
 * the space is gone; other: this page cannot be delivered.
 */
int deliver_run(struct lazyd *lazyd, struct space *space, const struct owed_run *run,
		enum lazy_cause cause);
/* The same of what has just landed, which the caller releases; the source is asked for nothing. */
int deliver_landed(struct lazyd *lazyd, struct space *space, const struct owed_run *run,
		   enum lazy_cause cause);
/* The kernel has refused for a while: a copy that succeeds should be a large one. */
bool deliver_is_pressed(const struct space *space);
/* Zeros for pages that are not owed, not huge ones: as uffd_zero(). */
int deliver_zeros(struct space *space, uint64_t at, uint64_t len, uint64_t *done);
/* Zeros for a huge page that is not owed. 0 or -errno of the copy. */
int deliver_huge_zeros(struct lazyd *lazyd, struct space *space, const struct owed_area *area,
		       uint64_t page);

/* Takes note of how a delivery ended (ret); true if all of it is done. May kill the task. */
bool deliver_went_well(struct lazyd *lazyd, struct space *space, int ret, uint64_t addr);

#endif
