/* SPDX-License-Identifier: GPL-2.0 */
/* What the restore knows of one task (task->restore): its images, checked, and its place in the
 * stages. */
#ifndef RESTORE_RESTORE_TASK_H
#define RESTORE_RESTORE_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "blob/restorer_args.h"
#include "core.pb-c.h"
#include "fs.pb-c.h"
#include "lazy/plan.h"
#include "mem/page_source.h"
#include "mm.pb-c.h"
#include "restore/restore.h"
#include "task-ext.pb-c.h"

/* Of one area (inherit.c). */
struct inherited {
	size_t source; /* number of the parent's area it is made from, plus one; 0: none */
	bool is_held;  /* to be in place, then in place, when the blob starts */
};

struct restore_task {
	CoreEntry **cores; /* task->nr_threads, leader first; for TASK_DEAD just the leader's */
	TaskKobjIdsEntry *ids;
	MmEntry *mm;
	FsEntry *fs;
	TaskExtEntry *ext; /* NULL in sets that are not ours */
	struct page_source *pages;
	struct inherited *inherited; /* mm->n_vmas, or NULL */
	uint8_t *vdso; /* its code with jumps to the kernel's, or NULL: it is the kernel's */
	uint64_t vdso_address; /* where the kernel's goes then */
	struct lazy_plan lazy; /* empty without --lazy-pages */
	int lazy_socket;       /* connected by the restorer, -1 */
	size_t index;	       /* in restore_shared.tasks */
	bool is_helper;	       /* not of the images: leads a group until others have joined it */
	bool is_born_early;    /* forked by its parent before that starts a session */
	struct task *session_leader; /* the brother that forks it once it leads its session */
	struct task *creator;	     /* who forks it: its parent or a brother; NULL: the restorer */
	uint64_t clone_flags;	     /* CLONE_FILES, CLONE_FS, CLONE_PARENT */
	struct task *fs_holder; /* the task that sets the working directory it shares; itself */
	uint32_t nr_fs_users;	/* of a holder */
};

enum restore_stage {
	STAGE_FORKED,  /* all tasks exist; leaders of sessions and groups are leaders */
	STAGE_GROUPED, /* all are in their groups; zombies may die now */
	STAGE_COUNT,
};

/* Mapped shared by the restorer and all tasks. */
struct restore_shared {
	struct restorer_shared blob; /* first: the blob knows this part only */
	uint32_t arrived[STAGE_COUNT];
	uint32_t nr_tasks;
	size_t size; /* of the mapping */
	struct shared_task {
		int32_t host_pid;	     /* 0 before the fork */
		uint32_t fs_arrived;	     /* sharing.c; futex */
		uint64_t region, region_len; /* the blob's mapping, to be unmapped at the end */
		struct restorer_fill fill;   /* fill_help.c */
	} tasks[];			     /* by restore_task.index */
};

/* restore/plan.c: reads and checks all images; every problem is logged. Changes nothing. */
int restore_plan(struct restore *restore);
void restore_plan_free(struct restore *restore);

/* restore/pids.c, plan: are the tids of all threads free? Those of the dead, whom somebody has yet
 * to wait for, are given some seconds. -EBUSY, logged for each. */
int pids_check(struct restore *restore);

/* restore/compose_vdso.c, plan: can the vDSO be put where the task had it? */
int vdso_plan(const struct restore *restore, struct task *task);

/* restore/shared.c: stages and errors across processes. */
int shared_create(struct restore *restore);
void shared_fail(struct restore_shared *shared);
/* In a task: says that this task has reached the stage, and waits for all. -ECANCELED: somebody
 * failed. */
int shared_arrive(struct restore_shared *shared, enum restore_stage stage);
/* In the restorer: waits until `count` threads have been counted by *word (parked or gated).
 * Logs what the blob says about a failure. */
int shared_watch(struct restore *restore, const uint32_t *word, uint32_t count);

/* restore/fill_help.c, in the restorer: fills memory of tasks whose blobs ask for it, with their
 * userfaultfds. Returns when no pieces are left; what went wrong is logged and has failed all. */
void fill_help(struct restore *restore);

/* restore/fork.c */
int fork_root(struct restore *restore);
/* Kills everything that was forked and waits until it is gone. */
void fork_kill_all(struct restore *restore);

/* restore/enter.c: the rest of a task's life as hosted code; ends in the blob, or returns an error.
 */
int task_enter(struct restore *restore, struct task *task);

/*
 * restore/finish.c, in the restorer. Threads that wait at the gate are seized with seccomp
 * suspended and go on; finish_seize() seizes all, unmaps the blobs and sets contexts;
 * finish_release() lets go.
 */
int finish_open_gate(struct restore *restore);
int finish_seize(struct restore *restore);
int finish_release(struct restore *restore);

/* restore/lazy_connect.c: one connection per task; starts a daemon if none listens. */
int lazy_connect(struct restore *restore);
/* After a failure, when all tasks are gone: ends the daemon if it is ours, and waits for that. It
 * is an orphan, so a child of us (PR_SET_CHILD_SUBREAPER). */
void lazy_disconnect(struct restore *restore);

#endif
