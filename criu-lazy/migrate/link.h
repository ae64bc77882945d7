/* SPDX-License-Identifier: GPL-2.0 */
/* The remote command: a process of ours whose standard input and output are the other end's. */
#ifndef MIGRATE_LINK_H
#define MIGRATE_LINK_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "migrate/wire.h"

struct options;

struct link {
	pid_t pid; /* of the remote command; 0: none, or waited for */
	int in;	   /* to it; -1: closed */
	int out;   /* from it; -1: ended */
	size_t len, used;
	char line[MIGRATE_LINE_MAX];
};

/*
 * Starts the other end: on the host of --to by --rsh. mask: the signal mask that the command gets.
 * Logged.
 */
int link_open(struct link *link, const struct options *opts, const sigset_t *mask);
/* The same on this host, to take a tree back. */
int link_open_here(struct link *link, const sigset_t *mask);
/*
 * The words of --remote-criu reach the other end as one command line, evaluated by a shell there
 * (ssh) or by none (ip netns exec): only words that mean the same both ways. False: they do not.
 */
bool link_words_are_plain(const char *words);

/* 0, or -EPIPE, -ETIMEDOUT: not logged. */
int link_send(struct link *link, enum migrate_type type, const void *bytes, size_t len);
/*
 * Reads what is there, without waiting. True: *word and *rest are the next line that is meant for
 * us, valid until the next call. False: no whole line is there; link->out is -1 at the end.
 */
bool link_line(struct link *link, char **word, char **rest);
/* No more records: the other end takes back what it has, unless it was told GO. */
void link_hang_up(struct link *link);
/* In a forked child: closes its copies of the ends. */
void link_forget(struct link *link);
/* Waits for the command to end, at most timeout_ms; then ends it. */
void link_close(struct link *link, int timeout_ms);

/*
 * Either end: blocks the signals of its children and of who wants it to stop, to be read from
 * *signal_fd (the caller's). *mask: what was blocked before. SIGPIPE is ignored. Logged.
 */
int link_watch_signals(sigset_t *mask, int *signal_fd);

#endif
