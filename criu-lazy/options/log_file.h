/* SPDX-License-Identifier: GPL-2.0 */
/* Where the log goes, as the options say: for the command line and for RPC. */
#ifndef OPTIONS_LOG_FILE_H
#define OPTIONS_LOG_FILE_H

struct options;

/*
 * Main process, in the work directory, which log_file is relative to. Sets the log up at the
 * wanted level, in log_file made anew (its descriptor belongs to the log) or on standard error. The
 * file of an earlier call is closed.
 * 0, or a negative errno, logged where the log went before.
 */
int options_open_log(const struct options *opts);

#endif
