/* SPDX-License-Identifier: GPL-2.0 */
/* The stages of a dump or a restore, told to action scripts and to whoever hooked himself in. */
#ifndef OPTIONS_STAGE_H
#define OPTIONS_STAGE_H

#include "options/options.h"

/*
 * Runs every --action-script, one after another, then opts->hook, and waits for them. A script is
 * run by the shell with CRTOOLS_SCRIPT_ACTION (the stage), CRTOOLS_IMAGE_DIR and, where there is a
 * root task (pid not 0), CRTOOLS_INIT_PID in its environment. 0, or a negative errno, logged: one
 * of them failed.
 */
int stage_reach(const struct options *opts, const char *stage, pid_t pid);

#endif
