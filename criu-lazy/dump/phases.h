/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the dump that concern the tree as a whole. In the dumper, tree frozen. Each returns
 * 0, or a negative errno with the reason logged.
 */
#ifndef DUMP_PHASES_H
#define DUMP_PHASES_H

#include "dump/dump.h"

/* Only look; what is not supported is refused by name (-EOPNOTSUPP). */
int namespaces_check(struct dump *dump);
int sessions_check(struct dump *dump);

/* Which tasks share memory, descriptors, directories, signal actions (kcmp(2)): image ids into
 * the facts. Sharing that images cannot say is refused. */
int ids_collect(struct dump *dump);
/* ids-PID.img. */
int ids_dump_task(struct dump *dump, const struct task *task);

/* Closes filelocks.img (see locks_dump_descriptor()). */
int locks_dump_end(struct dump *dump);

/* pstree.img: who is whose child, sessions, groups, threads. */
int pstree_dump(struct dump *dump);
/* timens-0.img: the clocks at the time of the dump. */
int clocks_dump(struct dump *dump);
/* stats-dump, in the work directory; times in microseconds. */
int stats_dump(struct dump *dump);
/* Last: a set without it is refused. */
int inventory_dump(struct dump *dump);

#endif
