/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dump --lazy-pages: pages of lazily restorable areas stay where they are, in the stopped tree, and
 * are served from there once all images are written. Dumper; see Documentation/post-copy.md.
 */
#ifndef DUMP_LAZY_SERVE_H
#define DUMP_LAZY_SERVE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct dump;
struct lazy_serve;
struct task;

/* Before the tree is stopped: listens. Logged. */
int lazy_serve_begin(struct dump *dump, const volatile sig_atomic_t *stopped);
/* Writes the token; the image directory has been cleared of older sets. */
int lazy_serve_mark(struct dump *dump);
/* These pages of the task stay. In ascending order per task. */
int lazy_serve_leave(struct dump *dump, struct task *task, uint64_t start, uint64_t end);
/*
 * All images are written: says so on --status-fd and serves. 0: the destination has everything, the
 * tree can end. Otherwise an error, logged.
 */
int lazy_serve_run(struct dump *dump);
/* Some pages have gone to somebody: the tree may be running elsewhere. */
bool lazy_serve_has_delivered(const struct dump *dump);
/* Ends all connections. Before the tree is let go. */
void lazy_serve_end(struct dump *dump);

#endif
