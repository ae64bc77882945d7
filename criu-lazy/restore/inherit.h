/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages that parent and child have not changed since the fork are one page in memory, and are so
 * again after an eager restore: the parent maps and fills such areas at their place before it
 * forks, and the child only writes the pages that differ. Areas that are had so are not mapped and
 * not read by the blob. With lazy pages there is nothing of this: nobody fills before the fork.
 */
#ifndef RESTORE_INHERIT_H
#define RESTORE_INHERIT_H

#include <stdbool.h>
#include <stddef.h>

#include "restore/restore_task.h"

/* Restorer, plan: which areas of which tasks. A few pages are compared, so that a child that has
 * nothing in common with its parent does not pay. */
int inherit_plan(struct restore *restore);

/* In the task, before it forks its children. What cannot be mapped in the place where it belongs,
 * because something of ours is there, is left to the blob. */
int inherit_take(struct restore *restore, struct task *task);

/* Is area number `index` in place with all its pages, readable and writable? */
bool inherit_holds(const struct restore_task *rt, size_t index);

#endif
