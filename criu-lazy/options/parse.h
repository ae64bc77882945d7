/* SPDX-License-Identifier: GPL-2.0 */
/* Where options come from: command line and config files; and the text of --help. */
#ifndef OPTIONS_PARSE_H
#define OPTIONS_PARSE_H

#include <stdio.h>

#include "options/options.h"

/*
 * Fills *opts (initialised) from /etc/criu/default.conf, $HOME/.criu/default.conf, --config and the
 * command line, later ones winning. Words that are no options may stand anywhere: the first is the
 * command, "--" ends options and begins exec_cmd (borrowed from argv). 0 or a negative errno,
 * logged.
 */
int options_parse(int argc, char **argv, struct options *opts);

/*
 * One file of `name value` lines: names are long options, # begins a comment, a value may stand in
 * double quotes. -ENOENT (not logged) if there is no such file.
 */
int options_read_file(const char *path, struct options *opts);
/* The two default files, where they exist. */
int options_read_default_files(struct options *opts);

/* Says at info level which options given have no effect here, and why. */
void options_log_accepted(const struct options *opts);

/* The option part of --help, by groups. */
void options_print_help(FILE *out);

#endif
