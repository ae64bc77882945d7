/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The working set before its tasks run. From a source elsewhere it is called for as soon as there
 * is a connection, while the restore still makes processes; what lands for a task that has not come
 * yet is kept for it. A task is let go when its part is in place, or after a while without.
 *
 * Engine's thread.
 */
#ifndef LAZY_PREFETCH_H
#define LAZY_PREFETCH_H

#include <stdbool.h>
#include <stdint.h>

struct lazyd;
struct space;

/* Ready to be told what is where; before the engine runs. Nothing in here can fail a restore. */
void prefetch_open(struct lazyd *lazyd);
/* The task of this object (transport/wire.h) has not come: what nobody owes may yet be owed. */
bool prefetch_awaits(const struct lazyd *lazyd, uint64_t object);
/* The space is armed: installs what is here of the set. */
void prefetch_fill(struct lazyd *lazyd, struct space *space);
/* Some of what the space should have is on its way. */
bool prefetch_is_pending(struct lazyd *lazyd, struct space *space);
/* All tasks have come: what landed for none of them is given back. */
void prefetch_settle(struct lazyd *lazyd);

#endif
