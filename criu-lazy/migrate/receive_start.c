// SPDX-License-Identifier: GPL-2.0
/* The daemon and the restore, as children of the destination end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lazy/lazyd.h"
#include "migrate/receive.h"
#include "options/log_file.h"
#include "restore/restore.h"
#include "util/log.h"
#include "util/scope.h"

/* A life of its own: the remote command may end, with its terminal, its pipes and its session. */
static int settle(struct receive *receive, const char *log)
{
	scoped_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &receive->mask, NULL);
	setsid();
	if (null < 0 || fchdir(receive->dir_fd))
		return log_errno("%s", receive->dir);
	for (int fd = 0; fd <= 2; fd++) {
		if (dup2(null, fd) < 0)
			return log_errno("descriptor %d", fd);
	}
	close(receive->signal_fd);
	free(receive->opts.log_file);
	receive->opts.log_file = strdup(log);
	return options_open_log(&receive->opts);
}

static void __attribute__((noreturn)) be_daemon(struct receive *receive, int ready)
{
	struct options *opts = &receive->opts;
	int ret = settle(receive, "lazy-pages.log");

	opts->images_dir = opts->work_dir = receive->dir;
	opts->page_server = true;
	opts->awaits_restore = true;
	opts->status_fd = ready;
	opts->status_file = strdup("status.json");
	if (!ret)
		ret = lazyd_run(opts);
	_exit(ret ? 1 : 0);
}

int receive_start_daemon(struct receive *receive)
{
	int ready[2];

	if (pipe2(ready, O_CLOEXEC))
		return log_errno("pipe");
	receive->daemon = fork();
	if (!receive->daemon) {
		close(ready[0]);
		be_daemon(receive, ready[1]);
	}
	close(ready[1]);
	receive->daemon_ready = ready[0];
	return receive->daemon < 0 ? log_errno("fork") : 0;
}

/* ---- the restore ------------------------------------------------------------------ */

struct stages {
	int steps, go;
};

static int reach(void *ctx, const char *stage, pid_t pid)
{
	const struct stages *stages = ctx;
	char byte;

	if (!strcmp(stage, "pre-resume")) {
		if (write(stages->steps, &(char){ STEP_MADE }, 1) != 1 ||
		    read(stages->go, &byte, 1) != 1)
			return log_ret(-ECANCELED, "the source has not let the tree go");
	} else if (!strcmp(stage, "post-resume")) {
		if (write(stages->steps, &(char){ STEP_RUNNING }, 1) != 1)
			log_debug("migrate: nobody listens");
	}
	return 0;
}

static void __attribute__((noreturn)) be_restore(struct receive *receive, int steps, int go)
{
	struct stages stages = { .steps = steps, .go = go };
	struct stage_hook hook = { .call = reach, .ctx = &stages };
	struct options *opts = &receive->opts;
	int ret = settle(receive, "restore.log");

	opts->images_dir = opts->work_dir = receive->dir;
	opts->lazy_pages = true;
	opts->restore_detached = true;
	opts->hook = &hook;
	if (!ret)
		ret = restore_run(opts, NULL);
	_exit(ret ? 1 : 0);
}

int receive_start_restore(struct receive *receive)
{
	int steps[2], go[2];

	if (pipe2(steps, O_CLOEXEC))
		return log_errno("pipe");
	if (pipe2(go, O_CLOEXEC)) {
		close(steps[0]);
		close(steps[1]);
		return log_errno("pipe");
	}
	receive->restore = fork();
	if (!receive->restore) {
		close(steps[0]);
		close(go[1]); /* or it would never end */
		close(receive->daemon_ready);
		be_restore(receive, steps[1], go[0]);
	}
	close(steps[1]);
	close(go[0]);
	receive->steps = steps[0];
	receive->go = go[1];
	return receive->restore < 0 ? log_errno("fork") : 0;
}
