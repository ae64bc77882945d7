/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tasks that share their descriptor table or their working directory. Sharing is only had by birth:
 * such a task is forked with CLONE_FILES or CLONE_FS by its parent, or, if the parent has no part
 * in it, by the first of its brothers that has, with CLONE_PARENT.
 */
#ifndef RESTORE_SHARING_H
#define RESTORE_SHARING_H

#include "restore/restore.h"

/* Restorer, plan, after sessions_plan(): who forks whom (restore_task.creator, clone_flags) and
 * who sets a shared working directory. Logs and refuses what cannot be had so. */
int sharing_plan(struct restore *restore);

/* In the task, when it will look up no path any more. True: this task sets the directories, and all
 * that share them have come here too. False: another one does. */
bool sharing_sets_directories(struct restore *restore, const struct task *task);

#endif
