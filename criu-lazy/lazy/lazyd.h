/* SPDX-License-Identifier: GPL-2.0 */
/* The lazy-pages daemon: listens for restored tasks and brings them their memory. */
#ifndef LAZY_LAZYD_H
#define LAZY_LAZYD_H

#include "options/options.h"

/*
 * The whole `lazy-pages` command; log and options are set up, the caller is single threaded. Images
 * from images_dir, the socket (LAZY_SOCKET_NAME) and lazy-pages-stats.json in the work directory.
 * When the socket listens: pidfile is written, one zero byte goes to status_fd, which is closed,
 * and with `daemon` the caller's process has returned 0; the daemon then holds nothing of the
 * caller's standard streams, unless standard error is a terminal. Otherwise it returns when every
 * announced task has all of its memory or is gone: 0; or -errno, and then tasks that were still
 * owed pages have been killed.
 */
int lazyd_run(const struct options *opts);

/* The log of a daemon in the background that was given none, in the work directory. */
#define LAZY_LOG_NAME "lazy-pages.log"
/* In the work directory. The log goes there from now on; 0, or -errno, logged where it went before.
 */
int lazyd_open_log(const struct options *opts);

#endif
