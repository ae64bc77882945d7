/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whose address space is it? A FORK event brings a descriptor and no pid; /proc has to say. Best
 * effort: without a pid the space is served all the same, and poisoned instead of killed.
 */
#ifndef LAZY_IDENTIFY_H
#define LAZY_IDENTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The child of `parent` that was forked about `born` (CLOCK_MONOTONIC ns): the only one that is not
 * is_known() and, if tid is not 0, has a thread that calls itself tid. 0: none, or not sure.
 */
pid_t identify_child(pid_t parent, pid_t tid, uint64_t born, bool (*is_known)(void *ctx, pid_t pid),
		     void *ctx);

/* Calls wiped() for each area of pid with WIPEONFORK. */
void identify_wiped(pid_t pid, void (*wiped)(void *ctx, uint64_t start, uint64_t end), void *ctx);

#endif
