/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The end of tasks whose memory nobody will complete: killed, or what they lack poisoned, so that
 * none of them reads a zero. Nothing here allocates or takes a lock of libc: the caller may be a
 * copy of a process with threads.
 */
#ifndef LAZY_ENDING_H
#define LAZY_ENDING_H

#include <stdbool.h>

#include "lazy/journal.h"

/*
 * The daemon is dead: ends all that is owed and returns when every descriptor may be closed. 1 if
 * anything was owed, else 0.
 */
int ending_of_all(struct journal *journal, bool has_poison);
/* Nobody knows what this address space is owed: waits until it is gone, or poisons all of it. */
void ending_of_one(int uffd, bool has_poison);

/* Calls each() for every numeric name in a directory of /proc. */
void ending_each_number(const char *path, void (*each)(int number));

#endif
