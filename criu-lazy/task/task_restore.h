/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Per-task state that is neither memory nor a descriptor, restore side. Runs in the task: the
 * hosted part at once, the rest becomes work items of the blob.
 */
#ifndef TASK_TASK_RESTORE_H
#define TASK_TASK_RESTORE_H

#include "restore/compose.h"

/* Restorer, plan: seccomp.img, and sizes of what items point to. Everything is checked here. */
int task_restore_plan(struct restore *restore);
void task_restore_free(struct restore *restore);
/* How much of the region the items of this task point to, at most. */
uint64_t task_restore_bytes(const struct restore *restore, const struct task *task);
/* Does this thread have filters or strict mode? Then it waits at the gate. */
bool task_restore_has_seccomp(const CoreEntry *core);

/* In the task, /proc still there: what is written to files. */
int task_restore_hosted(struct restore *restore, const struct task *task);

/* Work items. All of a thread's are run by that thread. */
int compose_sigactions(struct compose *compose);
int compose_thread(struct compose *compose, struct calls *calls, const CoreEntry *core, pid_t tid,
		   const char *comm);
/* Of the process, by the leader, when all threads exist. */
int compose_process(struct compose *compose);
/* The last of a thread; afterwards it may not have the right to do anything. */
int compose_credentials(struct compose *compose, struct calls *calls, const CoreEntry *core);

/* Parts of compose_thread() and compose_process(). */
void compose_pending(struct compose *compose, struct calls *calls, const SignalQueueEntry *queue,
		     pid_t tid);
void compose_timers(struct compose *compose, const TaskTimersEntry *timers);
void compose_limits(struct compose *compose, const TaskRlimitsEntry *limits);
/* From our own extensions image; without it they stay as ours are. */
void compose_ext_thread(struct compose *compose, struct calls *calls, const CoreEntry *core,
			pid_t tid);
void compose_ext_process(struct compose *compose);
void compose_sched(struct calls *calls, struct region *region, const ThreadCoreEntry *core);
/* filelocks.img: the plan, its part of task_restore_bytes(), and the items of compose->task. */
int locks_plan(struct restore *restore);
uint64_t locks_restore_bytes(const struct restore *restore, const struct task *task);
void compose_locks(struct compose *compose);
void locks_free(struct restore *restore);
int compose_seccomp(struct compose *compose, struct calls *calls, const CoreEntry *core);

#endif
