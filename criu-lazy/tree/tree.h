/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The task tree: tasks (processes) with their threads, as dump and restore
 * both see it. Pids named `pid`, `ppid`, `sid`, `pgid` and `tid` are image
 * pids: the ones of the innermost pid namespace. `host_*` are as seen by us.
 */
#ifndef TREE_TREE_H
#define TREE_TREE_H

#include <bsd/sys/queue.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum task_state { /* values as in task_core_entry.task_state */
		  TASK_ALIVE = 1,
		  TASK_DEAD = 2, /* zombie: exit_code is all there is */
		  TASK_STOPPED = 3,
};

struct thread {
	pid_t tid;
	pid_t host_tid;
	void *priv; /* of the phase that runs: struct dump_thread or struct restore_thread */
};

struct dump_task;
struct restore_task;

struct task {
	TAILQ_ENTRY(task) link;	    /* in tree->tasks, parents before children */
	TAILQ_ENTRY(task) siblings; /* in parent->children */
	TAILQ_HEAD(, task) children;
	struct task *parent; /* NULL for the root */
	pid_t pid, ppid, pgid, sid;
	pid_t host_pid;
	enum task_state state;
	int stop_signal;   /* TASK_STOPPED */
	int exit_code;	   /* TASK_DEAD: as wait(2) gives it */
	size_t nr_threads; /* at least 1, threads[0] is the leader; 0 for TASK_DEAD on dump */
	struct thread *threads;
	struct dump_task *dump;	      /* while dumping */
	struct restore_task *restore; /* while restoring */
};

struct tree {
	struct task *root;
	TAILQ_HEAD(, task) tasks;
};

void tree_init(struct tree *tree);
/* Frees tasks and threads; the phases free their own parts before. */
void tree_fini(struct tree *tree);
/* A new task under parent (NULL: the root), appended to the lists; NULL when out of memory. */
struct task *tree_add(struct tree *tree, struct task *parent, pid_t pid);
/* O(n); NULL if there is none. By image pid. */
struct task *tree_find(const struct tree *tree, pid_t pid);

#define tree_for_each(task, tree)	 TAILQ_FOREACH (task, &(tree)->tasks, link)
#define task_for_each_child(child, task) TAILQ_FOREACH (child, &(task)->children, siblings)

#endif
