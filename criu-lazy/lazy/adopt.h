/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The descriptors a dead daemon has left in the table it shared with the supervisor. Those of
 * address spaces are named in the journal, connections of tasks speak for themselves, and what was
 * there before the first daemon is kept; all others are closed, above all connections to a source,
 * which shall see that they have ended.
 */
#ifndef LAZY_ADOPT_H
#define LAZY_ADOPT_H

#include <stdbool.h>

struct lazyd;

/* Before this daemon opens anything: closes what is nobody's, remembers what is to be looked at. */
int adopt_begin(struct lazyd *lazyd);
/* Spaces are as they were: takes up connections, and ends what no space stands for. */
void adopt_finish(struct lazyd *lazyd);
/* Of a slot that never was in force: nobody has run on it, so closing it is no harm. */
void adopt_half_armed(int uffd);

bool adopt_is_uffd(int fd);

#endif
