/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the destination end share. */
#ifndef MIGRATE_RECEIVE_H
#define MIGRATE_RECEIVE_H

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "migrate/wire.h"
#include "options/options.h"

struct receive {
	struct options opts; /* of the daemon and the restore: ours, and what the source sent */
	char *dir;	     /* images, logs, sockets; absolute */
	bool dir_is_new;     /* we made it */
	bool dir_is_ours;    /* nobody asked for it: it goes at the end, whatever happens */
	int dir_fd;
	bool shares_pids;
	sigset_t mask; /* of before; for children */
	int signal_fd; /* SIGCHLD, SIGTERM, SIGINT, SIGHUP */

	pid_t daemon, restore; /* 0: none, or waited for */
	int daemon_status, restore_status;
	int daemon_ready; /* one byte; -1 */
	int steps;	  /* from the restore: struct step; -1 */
	int go;		  /* to the restore: one byte lets the tasks run; -1 */
	bool got_go, is_running, source_is_silent;
	uint64_t running_at; /* us */
};

/* A line to the source. It is lost if the source is. */
void receive_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Everything up to START. 0 or a negative errno, logged. */
int receive_images(struct receive *receive);
/* Its entries from the first on, or NULL; for the caller to close. */
DIR *receive_list(const struct receive *receive);
/* Removes what came, and the directory if it is new. */
void receive_clean(struct receive *receive);
/* One record's type within timeout_ms, for what may come after START; -EPIPE: no more. */
int receive_record(int timeout_ms);

/* The daemon, then the restore, until the end. 0, or a negative errno: nothing is left running. */
int receive_tree(struct receive *receive);
/* Daemon and restore as children; logged. */
int receive_start_daemon(struct receive *receive);
int receive_start_restore(struct receive *receive);

enum { STEP_MADE = 'm', STEP_RUNNING = 'r' };

#endif
