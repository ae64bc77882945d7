/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tree moves to another host in one command: the source end runs `dump --lazy-pages` and, by a
 * remote command, the destination end, which runs `lazy-pages` and `restore --lazy-pages`. See
 * Documentation/post-copy.md for the states and what a failure in each leads to.
 */
#ifndef MIGRATE_MIGRATE_H
#define MIGRATE_MIGRATE_H

struct options;

/* The source end, in the images directory if one is named. 0 or a negative errno, logged. */
int migrate_run(const struct options *opts);
/*
 * The destination end: records on standard input, lines on standard output (migrate/wire.h). Ends
 * when the restored tree has all its memory, or when everything is taken back. 0 or a negative
 * errno.
 */
int migrate_receive(const struct options *opts);

#endif
