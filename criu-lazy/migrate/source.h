/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the source end share. */
#ifndef MIGRATE_SOURCE_H
#define MIGRATE_SOURCE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "migrate/link.h"
#include "options/options.h"

/* In order; each is entered once. */
enum source_state {
	SOURCE_BEGIN,
	SOURCE_GREETED,	  /* the other end is there */
	SOURCE_DUMPED,	  /* images are written, the tree is stopped */
	SOURCE_MADE,	  /* the destination has made the tree */
	SOURCE_COMMITTED, /* GO is said: the tree here does not run any more */
	SOURCE_RUNNING,	  /* it runs there */
	SOURCE_COMPLETE,  /* and has all its memory */
};

struct source {
	const struct options *opts;
	char *dir; /* of the images, absolute */
	bool dir_is_ours;
	char host[64]; /* of ours, as the destination sees it */
	uint16_t port;
	int listen_fd;
	bool shares_pids; /* with the destination */
	sigset_t mask;	  /* of before; for children */
	int signal_fd;

	struct link link;
	enum source_state state;
	char *failed, *lost; /* what the destination said */
	char *figures;	     /* of its daemon: JSON */
	bool link_is_lost;

	pid_t dump; /* 0: none, or waited for */
	int dump_status;
	int events; /* of the dump: struct source_event; -1 */
	bool is_detached;
	int nr_signals;
	bool is_barred;
	pid_t *stopped; /* those of the tree that stood still before we came */
	size_t nr_stopped;

	uint64_t frozen_at, dumped_at, made_at, running_at, complete_at; /* us */
	uint64_t sent;							 /* bytes of images */
	double percent, first_reply_us;
};

struct source_event {
	uint64_t at; /* us, CLOCK_MONOTONIC */
	char what;
};
enum { EVENT_FREEZE = 'f', EVENT_DUMPED = 'd', EVENT_DETACHED = 'a' };

/* source_dump.c: the dump, a child in a process group of its own. Logged. */
int source_start_dump(struct source *source);
/* From now on the dump lives when we do not. 0, or it is not there any more. */
int source_detach_dump(struct source *source);
/* Its tree runs on; waits for its end. */
void source_call_dump_off(struct source *source);
/*
 * Whatever happens to the dump from now on, a kill -9 of it too, no task of the tree goes on by
 * itself: each has a SIGSTOP waiting for it, which SIGCONT takes back. Those that were stopped
 * before stay so.
 */
int source_note_stopped(struct source *source);
void source_bar_tree(struct source *source);
void source_unbar_tree(struct source *source);
/* The tree of the source is there, if only stopped. */
bool source_tree_lives(const struct source *source);

/* source_images.c: sends all images of the directory. Logged. */
int source_send_images(struct source *source);

/* source_report.c: the one line on the terminal, and the summary. */
void source_show(const struct source *source);
void source_show_end(const struct source *source);
void source_print_summary(struct source *source);

#endif
