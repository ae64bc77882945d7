// SPDX-License-Identifier: GPL-2.0
/* Connections to the lazy-pages daemon, one per task, made before the tree is forked. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lazy/lazyd.h"
#include "lazy/protocol.h"
#include "restore/restore_task.h"
#include "util/fds.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

enum { DAEMON_END_MS = 3000 };

/* The work directory is the current one. */
static int connect_once(int *out)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = LAZY_SOCKET_NAME };
	scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	*out = take_fd(&fd);
	return 0;
}

/* Of what we hold it needs where the images are and who serves them; a client that waits for the
 * end of our socket or our output must not wait for the daemon's. */
static int drop_descriptors(const struct options *opts)
{
	int keep[] = { STDIN_FILENO,	    STDOUT_FILENO,     STDERR_FILENO,  log_fd(),
		       opts->images_dir_fd, opts->work_dir_fd, opts->ps_socket };

	return fds_close_others(keep, sizeof(keep) / sizeof(keep[0]));
}

static void become_daemon(const struct restore *restore) __attribute__((noreturn));
static void become_daemon(const struct restore *restore)
{
	struct options own = *restore->opts;
	int ret = 0;

	own.daemon = true;
	own.pidfile = NULL;
	own.status_fd = -1;
	sigprocmask(SIG_SETMASK, &restore->saved_mask, NULL);
	if (log_fd() >= 0)
		ret = lazyd_open_log(&own);
	ret = ret ?: drop_descriptors(&own) ?: lazyd_run(&own);
	_exit(ret ? 1 : 0);
}

/*
 * The daemon is made by a child of ours that has our signal mask of before; when the child is gone
 * without an error, somebody listens.
 */
static int start_daemon(const struct restore *restore)
{
	int status;
	pid_t pid;

	log_info("restore: no lazy-pages daemon listens; starting one");
	pid = fork();
	if (pid < 0)
		return log_errno("restore: start a lazy-pages daemon");
	if (!pid)
		become_daemon(restore);
	if (waitpid(pid, &status, 0) < 0)
		return log_errno("restore: wait for the lazy-pages daemon");
	if (status)
		return log_ret(-ECONNREFUSED, "restore: the lazy-pages daemon did not start (%s)",
			       log_first_error() ?: "killed");
	return 0;
}

static bool runs_our_program(pid_t pid)
{
	struct stat its, ours;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return !stat(path, &its) && !stat("/proc/self/exe", &ours) && its.st_dev == ours.st_dev &&
	       its.st_ino == ours.st_ino;
}

/* So that the next restore does not meet a daemon that is about to go. */
static void end_daemon(pid_t pid)
{
	const struct timespec step = { .tv_nsec = 1000 * 1000 };

	kill(pid, SIGTERM);
	for (int i = 0; i < DAEMON_END_MS; i++) {
		if (waitpid(pid, NULL, WNOHANG))
			return;
		nanosleep(&step, NULL);
	}
	log_warn("restore: the lazy-pages daemon %d is still ending", pid);
}

void lazy_disconnect(struct restore *restore)
{
	scoped_text struct text text = { 0 };
	char path[64], *at;
	pid_t pid;

	if (!restore->has_daemon)
		return;
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	if (text_read_at(AT_FDCWD, path, &text))
		return;
	/* What scripts have left in the background came to us, too. */
	for (at = text.data; (pid = strtol(at, &at, 10)) > 0;) {
		if (runs_our_program(pid))
			end_daemon(pid);
	}
}

int lazy_connect(struct restore *restore)
{
	struct task *task;

	tree_for_each (task, &restore->tree) {
		int ret;

		if (task->state == TASK_DEAD)
			continue;
		ret = connect_once(&task->restore->lazy_socket);
		if ((ret == -ENOENT || ret == -ECONNREFUSED) && !restore->has_daemon) {
			ret = start_daemon(restore);
			if (ret)
				return ret;
			restore->has_daemon = true;
			ret = connect_once(&task->restore->lazy_socket);
		}
		if (ret)
			return log_ret(ret, "task %d: connect to the lazy-pages daemon at %s",
				       task->pid, LAZY_SOCKET_NAME);
	}
	return 0;
}
