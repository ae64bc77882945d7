/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files that the user brings along: --external KEY at dump ("file[1f:2a]"), --inherit-fd
 * fd[N]:KEY at restore ("file[1f:2a]", "pipe:[123]", "socket:[123]", "tmp/name").
 */
#ifndef KINDS_EXTERNAL_H
#define KINDS_EXTERNAL_H

#include <stdbool.h>

#include "dump/dump.h"
#include "restore/restore.h"

/* Was --external KEY given? "KEY:VALUE" counts as well. */
bool external_is_named(const struct options *opts, const char *key);

/* Pure: is item "fd[N]:KEY", with this key (a leading '/' aside)? *fd: N. */
bool inherit_fd_match(const char *item, const char *key, int *fd);
/* Root task. A new close-on-exec duplicate of the descriptor inherited for key in *fd. -ENOENT,
 * not logged, if there is none. */
int inherit_fd_open(const struct restore *restore, const char *key, int *fd);
/* Plan: is there one? */
bool inherit_fd_has(const struct restore *restore, const char *key);

#endif
