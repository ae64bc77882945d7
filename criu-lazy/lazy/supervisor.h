/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The supervisor: a process that shares the daemon's descriptor table and nothing else, and waits.
 * While it lives, no death of the daemon closes the last reference of a userfaultfd. When the
 * daemon is dead with pages owed, it kills the tasks, poisons what cannot be killed, and closes
 * only when nobody is left who could read a zero.
 */
#ifndef LAZY_SUPERVISOR_H
#define LAZY_SUPERVISOR_H

#include "lazy/journal.h"

struct lazyd;

/*
 * Splits the process: returns 0 in a child, the daemon, which shares the caller's
 * descriptors. The caller's process becomes the supervisor and exits with the daemon's status.
 * -errno if it could not be made.
 */
int supervisor_split(struct lazyd *lazyd);
/* Daemon: the supervisor has died; makes another one, as a child. */
void supervisor_replace(struct lazyd *lazyd);

#endif
