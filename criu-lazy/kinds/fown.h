/* SPDX-License-Identifier: GPL-2.0 */
/* Who is told by SIGIO of a file (fcntl(2): F_SETOWN, F_SETSIG). */
#ifndef KINDS_FOWN_H
#define KINDS_FOWN_H

#include "fown.pb-c.h"
#include "kinds/kind.h"

/* Dumper. A new message (malloc) for the fown member of an entry; image pids. */
int fown_dump(struct dump *dump, const struct fd_probe *probe, FownEntry **out);
/* Restorer, all tasks exist: sets owner and signal of the file behind fd (any duplicate). An
 * owner that is not in the tree is left out with a warning. */
int fown_restore(struct restore *restore, int fd, const FownEntry *fown);
/* A new empty message: nobody is told. NULL when out of memory. */
FownEntry *fown_none(void);

#endif
