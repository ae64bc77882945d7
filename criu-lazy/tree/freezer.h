/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A cgroup's freezer, v1 (freezer.state) or v2 (cgroup.freeze). While it is frozen no task of it
 * runs, forks or exits, so the tree can be seized in one pass; it is thawed for the seized tasks
 * to reach their stops.
 */
#ifndef TREE_FREEZER_H
#define TREE_FREEZER_H

#include <signal.h>
#include <stdbool.h>

struct freezer {
	int fd; /* the control file; -1: none */
	bool is_v2;
	bool was_frozen; /* by somebody else, before us */
};

/* Freezes and waits until it is done. -ETIMEDOUT after `timeout` seconds (0: no limit); -EINTR when
 * *stopped becomes non-zero. Logged; thawed again on failure. */
int freezer_freeze(struct freezer *freezer, const char *cgroup, unsigned int timeout,
		   const volatile sig_atomic_t *stopped);
int freezer_thaw(struct freezer *freezer);
/* Puts back the state before freezer_freeze() and closes. */
void freezer_restore(struct freezer *freezer);

#endif
