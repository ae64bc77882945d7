// SPDX-License-Identifier: GPL-2.0
/*
 * The destination from START to the end. One loop: it hears of children, of the source, of time,
 * and takes the next step when the one before is done.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "migrate/receive.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

enum { LOOK_MS = 100, PIDS_MS = 3000, END_MS = 10000, GO_MS = 60000 };

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- pids ------------------------------------------------------------------------- */

/* The images' pids that are still somebody's here. */
static pid_t pid_in_use(const struct receive *receive)
{
	scoped_dir DIR *dir = receive_list(receive);
	const struct dirent *entry;
	int pid;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		if (sscanf(entry->d_name, "core-%d.img", &pid) == 1 && pid > 0 && !kill(pid, 0))
			return pid;
	}
	return 0;
}

/* The source's tree has ended, but its parent may not have waited for it yet. */
static void wait_for_pids(const struct receive *receive)
{
	const struct timespec step = { .tv_nsec = 1000000 };

	for (int i = 0; i < PIDS_MS && pid_in_use(receive); i++)
		nanosleep(&step, NULL);
}

/* ---- what comes ------------------------------------------------------------------- */

static void reap(pid_t *pid, int *status)
{
	if (*pid > 0 && waitpid(*pid, status, WNOHANG) == *pid)
		*pid = 0;
}

/* -EINTR: somebody wants us to stop. */
static int hear_signal(struct receive *receive)
{
	struct signalfd_siginfo info;
	int ret = 0;

	while (read(receive->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCHLD && !receive->got_go)
			ret = log_ret(-EINTR, "stopped by signal %u", info.ssi_signo);
	}
	reap(&receive->daemon, &receive->daemon_status);
	reap(&receive->restore, &receive->restore_status);
	return ret;
}

/* Its silence ends all, until the tree may run. */
static int hear_source(struct receive *receive)
{
	int ret = receive_record(GO_MS);

	if (ret == MIGRATE_GO && receive->go >= 0) {
		receive->got_go = true;
		if (write(receive->go, "", 1) != 1)
			return log_errno("the restore");
		close_fd(&receive->go);
		return 0;
	}
	receive->source_is_silent = true;
	if (receive->got_go)
		return 0;
	return log_ret(ret < 0 ? ret : -EPROTO, "the source has taken the tree back, or is gone");
}

static void hear_restore(struct receive *receive)
{
	char step;

	if (read(receive->steps, &step, 1) != 1) {
		close_fd(&receive->steps);
	} else if (step == STEP_MADE) {
		receive_say("ready");
	} else if (step == STEP_RUNNING) {
		receive->is_running = true;
		receive->running_at = clock_us();
		receive_say("running");
	}
}

static int hear_daemon(struct receive *receive)
{
	char byte;
	bool is_ready = read(receive->daemon_ready, &byte, 1) == 1;

	close_fd(&receive->daemon_ready);
	if (!is_ready)
		return 0; /* it is ending: its status will tell */
	if (receive->shares_pids)
		wait_for_pids(receive);
	return receive_start_restore(receive);
}

/* ---- what is said ------------------------------------------------------------------ */

static void say_progress(const struct receive *receive, char last[16])
{
	scoped_text struct text text = { 0 };
	const char *at;
	char percent[16];

	if (!receive->is_running || text_read_at(receive->dir_fd, "status.json", &text))
		return;
	at = strstr(text.data, "\"percent\": ");
	if (!at || sscanf(at, "\"percent\": %15[0-9.]", percent) != 1 || !strcmp(percent, last))
		return;
	snprintf(last, 16, "%s", percent);
	receive_say("progress %s", percent);
}

static void say_complete(const struct receive *receive)
{
	scoped_text struct text text = { 0 };

	if (text_read_at(receive->dir_fd, "lazy-pages-stats.json", &text))
		receive_say("complete {}");
	else
		receive_say("complete %" PRIu64 " %s", receive->running_at, text.data);
}

/* ---- the end ------------------------------------------------------------------------ */

static void wait_child(pid_t *pid, int *status, int timeout_ms)
{
	const struct timespec step = { .tv_nsec = 1000000 };

	for (int i = 0; i<timeout_ms && * pid> 0; i++) {
		reap(pid, status);
		if (*pid > 0)
			nanosleep(&step, NULL);
	}
}

/* No task has run: the restore takes its own back, the daemon says good-bye to nobody. */
static void take_back(struct receive *receive)
{
	close_fd(&receive->go);
	wait_child(&receive->restore, &receive->restore_status, 500);
	/* It may wait for pages, which end with the daemon. */
	if (receive->daemon > 0)
		kill(receive->daemon, SIGTERM);
	wait_child(&receive->restore, &receive->restore_status, END_MS);
	if (receive->restore > 0) {
		log_warn("the restore does not end: killing it");
		kill(receive->restore, SIGKILL);
	}
	wait_child(&receive->restore, &receive->restore_status, END_MS);
	wait_child(&receive->daemon, &receive->daemon_status, END_MS);
}

/* 1: go on; 0: all is well and over; or a negative errno. */
static int judge(const struct receive *receive)
{
	if (!receive->restore && receive->restore_status)
		return -ECANCELED; /* it has said why */
	if (receive->daemon > 0)
		return 1;
	if (receive->daemon_status)
		return -ECHILD;
	if (receive->restore > 0 || receive->steps >= 0)
		return 1;
	if (!receive->is_running)
		return log_ret(-ECHILD, "the lazy-pages daemon ended before the tree ran");
	return 0;
}

static int hear_all(struct receive *receive, struct pollfd *fds)
{
	int ret = 0;

	if (fds[0].revents)
		ret = hear_signal(receive);
	/* What the restore has said before it ended comes before its end. */
	if (fds[1].revents)
		hear_restore(receive);
	if (!ret && fds[2].revents)
		ret = hear_daemon(receive);
	if (!ret && fds[3].revents)
		ret = hear_source(receive);
	return ret ? ret : judge(receive);
}

static int watch(struct receive *receive)
{
	char last[16] = "";
	int ret = 1;

	while (ret > 0) {
		struct pollfd fds[] = {
			{ .fd = receive->signal_fd, .events = POLLIN },
			{ .fd = receive->steps, .events = POLLIN },
			{ .fd = receive->daemon_ready, .events = POLLIN },
			{ .fd = receive->source_is_silent ? -1 : STDIN_FILENO, .events = POLLIN },
		};

		if (poll(fds, 4, LOOK_MS) < 0 && errno != EINTR)
			return log_errno("poll");
		ret = hear_all(receive, fds);
		say_progress(receive, last);
	}
	return ret;
}

int receive_tree(struct receive *receive)
{
	int ret = receive_start_daemon(receive);

	receive->restore_status = 0;
	if (!ret)
		ret = watch(receive);
	if (!ret)
		say_complete(receive);
	else if (!receive->is_running)
		take_back(receive);
	close_fd(&receive->daemon_ready);
	close_fd(&receive->steps);
	close_fd(&receive->go);
	return ret;
}
