/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KINDS_TTYS_TTYS_H
#define KINDS_TTYS_TTYS_H

#include "restore/restore.h"

/* The task, right after setsid(2) and before it forks who inherits the terminal: makes the one of
 * its session, if there is one, controlling. */
int ttys_take_controlling(const struct restore *restore, const struct task *task);

#endif
