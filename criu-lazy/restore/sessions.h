/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sessions and process groups. A session is inherited at fork and can only be started for oneself,
 * so a task that leads one forks the children that belong to the session before it earlier than
 * it calls setsid(2).
 */
#ifndef RESTORE_SESSIONS_H
#define RESTORE_SESSIONS_H

#include <stdbool.h>

#include "restore/restore.h"

/* Restorer, plan. Pure but for the log: decides who is born early; refuses what cannot be made. */
int sessions_plan(struct restore *restore);
/* In the task, between the forks of early and other children: starts its session or group. */
int sessions_lead(const struct restore *restore, const struct task *task);
/* In the task, when all leaders are there: joins its group. */
int sessions_join(const struct restore *restore, const struct task *task);

#endif
