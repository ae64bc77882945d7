/* SPDX-License-Identifier: GPL-2.0 */
/* --exec-cmd: after the restore we become another program, the parent of the restored root. */
#ifndef RESTORE_EXEC_CMD_H
#define RESTORE_EXEC_CMD_H

#include "options/options.h"

/*
 * Before anything is made: is there a command, and can it be executed? *path (released by free(3))
 * is the program, found as execvp(3) finds it; NULL without --exec-cmd. Errors are logged.
 */
int exec_cmd_find(const struct options *opts, char **path);
/* Returns only on failure, logged. */
int exec_cmd_run(const struct options *opts, const char *path);

#endif
