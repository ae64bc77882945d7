/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The supervisor: a process that shares the daemon's descriptor table and the journal and nothing
 * else, and waits. While it lives, no death of the daemon closes the last reference of a
 * userfaultfd. When the daemon is dead with pages owed, it makes another one, or holds everything
 * until it is told to, or kills the tasks, poisons what cannot be killed, and closes only when
 * nobody is left who could read a zero (--on-daemon-loss).
 */
#ifndef LAZY_SUPERVISOR_H
#define LAZY_SUPERVISOR_H

#include <stdbool.h>

#include "lazy/journal.h"

struct lazyd;

/*
 * Splits the process: returns 0 in a child, the daemon, which shares the caller's
 * descriptors. The caller's process becomes the supervisor and exits with the daemon's status; it
 * returns again, in another child, for each daemon that follows (journal->generation > 0).
 * -errno if it could not be made.
 */
int supervisor_split(struct lazyd *lazyd);
/* Daemon: the supervisor has died; makes another one, as a child. */
void supervisor_replace(struct lazyd *lazyd);

/* In a daemon that follows another one. Is it the supervisor's, or was there before both? */
bool supervisor_keeps(int fd);

#endif
