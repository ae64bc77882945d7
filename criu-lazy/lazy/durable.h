/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The engine's side of the journal: what it knows of its spaces, written so that another daemon can
 * go on from any instruction at which this one is killed.
 *
 *   inbox.batch++         messages are all zero
 *   read(2)               the kernel writes them, and their senders go on
 *   apply, commit         for each message that changes areas
 *   clear the messages
 *
 * Each message that changes areas is committed by itself, so that the bits a fork copies are those
 * of that moment. Removals clear bits, which can be done again. Copies are noted by clearing bits
 * too: what was copied and not noted is found to be there (EEXIST); if the task has dropped it
 * meanwhile, the event that says so is in the inbox or in the kernel's queue, and clears the bit
 * before anything is copied.
 */
#ifndef LAZY_DURABLE_H
#define LAZY_DURABLE_H

#include "lazy/engine.h"

/* All spaces that have changed, the counters, and the messages up to lazyd->nr_applied. -ENOMEM:
 * nothing is committed. */
int durable_commit(struct lazyd *lazyd);
/* A forked space enters the journal, to be committed. */
void durable_enter(struct lazyd *lazyd, struct space *space);
/* Its descriptor is closed. */
void durable_leave(struct lazyd *lazyd, struct space *space);
/* All events read are older than those to come (race.h). */
void durable_calm(struct lazyd *lazyd, struct space *space);
void durable_grown_up(struct lazyd *lazyd, struct space *space);
/* Its parent is gone. */
void durable_orphan(struct lazyd *lazyd, struct space *space);
/* It is being killed; a successor will see to it that it is. */
void durable_doom(struct lazyd *lazyd, struct space *space);
/* Now and then: what need not be exact. */
void durable_mirror(struct lazyd *lazyd);

#endif
