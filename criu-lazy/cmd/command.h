/* SPDX-License-Identifier: GPL-2.0 */
/* A command: its name, and one call. One small file per command in cmd/, one row in main.c. */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

#include "options/options.h"

struct command {
	const char *name;
	const char *summary; /* one line for --help */
	/* Runs in the main process, options complete, log set up. Returns the exit status. */
	int (*run)(const struct options *opts);
};

#endif
