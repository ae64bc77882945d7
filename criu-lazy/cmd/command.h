/* SPDX-License-Identifier: GPL-2.0 */
/* A command: its name, and one call. One small file per command in cmd/, one row in main.c. */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

#include "options/options.h"

struct command {
	const char *name;
	const char *arguments; /* for --help, or NULL */
	const char *summary;   /* one line for --help */
	bool uses_images;      /* opens the image directory, works in the work directory */
	/* Runs in the main process, options complete, log set up. Returns the exit status. */
	int (*run)(const struct options *opts);
	const char *refusal; /* run is NULL: what is not supported yet */
};

/*
 * Puts the options into effect: checks and makes absolute the image directory, changes to the work
 * directory (paths of logs, pid files and sockets are relative to it), opens the log. 0 or a
 * negative errno, logged.
 */
int command_setup(const struct command *command, struct options *opts);

extern const struct command command_page_server, command_dump, command_restore, command_lazy_pages,
	command_check, command_service, command_swrk, command_migrate, command_migrate_receive;

#endif
