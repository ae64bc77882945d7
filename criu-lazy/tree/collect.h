/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Finds, seizes and stops a tree of tasks, and lets it go. Dumper only, which
 * is the tracer. Tasks get a struct dump_task with pidfd and proc_fd open.
 */
#ifndef TREE_COLLECT_H
#define TREE_COLLECT_H

#include <signal.h>

#include "options/options.h"
#include "tree/tree.h"

struct freezer;

struct collect_params {
	pid_t root;		   /* as we see it */
	const char *freeze_cgroup; /* NULL: by ptrace alone */
	struct freezer *freezer;   /* of that cgroup; freezer_restore() after tree_release() */
	unsigned int timeout;	   /* seconds for all of it; 0: no limit */
	const volatile sig_atomic_t *stopped; /* set by a signal: give up */
};

/*
 * Stops the whole tree: all its threads are seized, looked for again until nothing new appears.
 * Tasks have their host pids, state and threads; image pids are found out later. On failure
 * whatever was seized is still in `tree`: tree_release() lets it go.
 *
 * -ESRCH no such process; -EINVAL ourselves, a kernel thread; -ETIMEDOUT; -EINTR; all logged.
 */
int tree_collect(struct tree *tree, const struct collect_params *params);

/* Lets all threads go: killed (and waited for, so that the pids are free), stopped, or running as
 * before. Best effort: problems are logged. Idempotent. */
void tree_release(struct tree *tree, enum final_state state);
/*
 * Dumper, after tree_release() with FINAL_KILL: waits until no pid of the tree is in use any more,
 * which is when the parents have reaped. They need not: so for timeout_ms at most.
 */
void tree_wait_reaped(const struct tree *tree, unsigned int timeout_ms);

/* Frees what tree_collect() hung on the tasks, closing descriptors. */
void tree_collect_free(struct tree *tree);

#endif
