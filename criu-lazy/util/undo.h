/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The undo list: every step the outside world can see (freeze, network lock,
 * mounts, rules, links, processes) is pushed as it is made. One finish routine
 * per command runs it, newest first, for success, failure and SIGTERM alike.
 */
#ifndef UTIL_UNDO_H
#define UTIL_UNDO_H

#include <stdbool.h>

struct undo_entry;

struct undo {
	struct undo_entry *top;
};

/* Runs in the process that pushed it. failed: the command did not succeed. */
typedef void (*undo_fn)(void *arg, bool failed);

/* Pushes fn(arg); arg is borrowed. Returns 0 or -ENOMEM (fn has then been run as failed). */
int undo_push(struct undo *undo, undo_fn fn, void *arg);

/* Runs and drops all entries, newest first. Safe to call again. */
void undo_run(struct undo *undo, bool failed);

/* What undo_run_above() leaves alone: all that has been pushed until now. */
struct undo_entry *undo_mark(const struct undo *undo);
/* The same for entries pushed after mark, which must still be there. */
void undo_run_above(struct undo *undo, const struct undo_entry *mark, bool failed);

#endif
