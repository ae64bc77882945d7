/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a thread of ours is to the scheduler. Failures are no harm. Calling thread; its children
 * inherit it.
 *
 * Since Linux 6.6 a running thread keeps its processor for its slice, some milliseconds, whoever
 * wakes up meanwhile; since 6.12 one that asks for a shorter slice takes over at once. So threads
 * that somebody waits for ask for one.
 */
#ifndef UTIL_PRIORITY_H
#define UTIL_PRIORITY_H

/* Somebody waits for what it does. */
void priority_quick(void);
/* It moves bulk data: where processors are short, the tasks and what they wait for come first. */
void priority_bulk(void);

#endif
