// SPDX-License-Identifier: GPL-2.0
/*
 * When the daemon has died with pages owed (--on-daemon-loss):
 *
 * restart  Another one is made, of the supervisor's memory, which is as it was before the first
 *          began: at once, but not more than RESTARTS_MAX times in RESTARTS_NS. Then, and when it
 *          says that it cannot take over: kill.
 * hold     Nothing is done until somebody says what (control.h), or nobody is left who waits.
 * kill     ending.h.
 *
 * A supervisor made by supervisor_replace() comes from a process with threads: nothing here may
 * allocate or take a lock of libc.
 */
#include "lazy/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lazy/control.h"
#include "lazy/ending.h"
#include "lazy/engine.h"
#include "lazy/uffd.h"
#include "util/clock.h"
#include "util/log.h"

enum { RESTARTS_MAX = 5, HOLD_LOOK_MS = 200 };
#define RESTARTS_NS (60 * 1000000000ull)

struct supervisor {
	struct journal *journal;
	enum daemon_loss policy;
	int control_fd; /* of the daemons, to be spoken to in their place */
	int *kept;	/* descriptors that were open before the first daemon */
	size_t nr_kept;
	int signal_fd;
	sigset_t daemon_mask;
	uint64_t restarts[RESTARTS_MAX]; /* when; a ring */
	unsigned int nr_restarts;
	bool has_poison;
};

static struct supervisor self; /* .bss: no allocation, see above */

bool supervisor_keeps(int fd)
{
	if (fd == self.journal->daemon_pidfd || fd == self.signal_fd)
		return true;
	for (size_t i = 0; i < self.nr_kept; i++) {
		if (self.kept[i] == fd)
			return true;
	}
	return false;
}

static void keep_fd(int fd)
{
	int *grown = reallocarray(self.kept, self.nr_kept + 1, sizeof(int));

	if (!grown)
		return;
	self.kept = grown;
	self.kept[self.nr_kept++] = fd;
}

/* The directory that was read is among them; and the daemon closes the one it says ready on. */
static void forget_closed(int status_fd)
{
	size_t kept = 0;

	for (size_t i = 0; i < self.nr_kept; i++) {
		if (self.kept[i] != status_fd && fcntl(self.kept[i], F_GETFD) >= 0)
			self.kept[kept++] = self.kept[i];
	}
	self.nr_kept = kept;
}

static void watch_signals(void)
{
	sigset_t mask;

	sigfillset(&mask);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	sigdelset(&mask, SIGCHLD);
	self.signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* SIGTERM or SIGINT, or 0. */
static int take_signal(void)
{
	struct signalfd_siginfo info;

	if (read(self.signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT ? (int)info.ssi_signo : 0;
}

/* Waits for the daemon's end, passing on what a user sends. Its wait status, or -1 if not a child.
 * All of its threads have ended when this returns. */
static int wait_for_daemon(int pidfd, bool is_parent)
{
	struct pollfd polls[2] = { { .fd = pidfd, .events = POLLIN },
				   { .fd = self.signal_fd, .events = POLLIN } };
	int status = -1;

	while (!(polls[0].revents & POLLIN)) {
		int signal;

		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			break;
		signal = take_signal();
		if (signal)
			syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
	}
	self.journal->lost_at = clock_ns();
	if (is_parent)
		waitpid(atomic_load(&self.journal->daemon_pid), &status, 0);
	return status;
}

/* Somebody is owed pages, or may be about to say hello. */
static bool is_anybody_owed(void)
{
	const struct journal_commit *last = journal_last(self.journal);
	uint32_t nr_used = atomic_load(&self.journal->nr_used);

	if (!last->nr_tasks || last->nr_hellos + last->nr_lost < last->nr_tasks)
		return true;

	for (uint32_t i = 0; i < nr_used; i++) {
		const struct journal_slot *slot = &self.journal->slots[i];

		if (atomic_load(&slot->state) == JOURNAL_OWED && !uffd_is_gone(slot->uffd))
			return true;
	}
	return false;
}

static bool may_restart(void)
{
	uint64_t now = clock_ns();
	uint64_t *oldest = &self.restarts[self.nr_restarts % RESTARTS_MAX];

	if (self.nr_restarts >= RESTARTS_MAX && now - *oldest < RESTARTS_NS) {
		log_err("the lazy-pages daemon died %d times within a minute", RESTARTS_MAX + 1);
		return false;
	}
	*oldest = now;
	self.nr_restarts++;
	return true;
}

/* Until somebody says "resume": true; a signal, or nobody waits any more: false. */
static bool wait_for_word(void)
{
	struct pollfd polls[2] = { { .fd = self.control_fd, .events = POLLIN },
				   { .fd = self.signal_fd, .events = POLLIN } };

	log_err("the lazy-pages daemon died: tasks that need absent pages wait; start `criu-lazy "
		"lazy-pages` in the same work directory to go on, or end this process (pid %d) "
		"with SIGTERM to kill them",
		getpid());
	while (is_anybody_owed()) {
		poll(polls, 2, HOLD_LOOK_MS);
		if (take_signal())
			return false;
		if (polls[0].revents & POLLIN && control_hears_resume(self.control_fd))
			return true;
	}
	return false;
}

/* Does another daemon follow? */
static bool is_to_go_on(int status)
{
	/* One that leaves has said why; one that was killed cannot have finished. */
	if (atomic_load(&self.journal->finished) || (status != -1 && WIFEXITED(status)))
		return false;
	if (self.policy == DAEMON_LOSS_HOLD)
		return wait_for_word();
	return self.policy == DAEMON_LOSS_RESTART && may_restart();
}

static void leave(int status) __attribute__((noreturn));
static void leave(int status)
{
	int finished = atomic_load(&self.journal->finished);

	if (ending_of_all(self.journal, self.has_poison))
		_exit(1);
	if (status != -1 && WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	_exit(finished ? finished - 1 : 1);
}

/* Two processes, one descriptor table, two memories. libc's fork cannot do this. */
static pid_t clone_files(int *pidfd)
{
	return (pid_t)syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD | SIGCHLD, 0, pidfd, 0, 0);
}

/* 0 in the daemon; in the supervisor when it is dead: its wait status in *status. */
static pid_t run_daemon(int *status)
{
	/* In memory of both, so that the child knows whose it is. */
	int *pidfd = &self.journal->daemon_pidfd;
	pid_t pid = clone_files(pidfd);

	if (pid < 0)
		return log_errno("supervisor: clone");
	if (pid == 0) {
		setsid(); /* what kills a process group shall not kill both */
		sigprocmask(SIG_SETMASK, &self.daemon_mask, NULL);
		atomic_store(&self.journal->daemon_pid, getpid());
		prctl(PR_SET_NAME, "lazy-pages");
		return 0;
	}
	atomic_store(&self.journal->daemon_pid, pid);
	*status = wait_for_daemon(*pidfd, true);
	close(*pidfd);
	*pidfd = -1;
	return pid;
}

static const char *end_of(int status)
{
	return WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "no signal";
}

int supervisor_split(struct lazyd *lazyd)
{
	pid_t parent = getpid();
	int status = 0;
	pid_t pid;

	self.journal = lazyd->journal;
	self.has_poison = lazyd->has_poison;
	self.policy = lazyd->opts->on_daemon_loss;
	self.control_fd = lazyd->control_fd;
	lazyd->supervisor_pidfd = (int)syscall(SYS_pidfd_open, parent, 0);
	if (lazyd->supervisor_pidfd < 0)
		return log_errno("supervisor: pidfd of %d", parent);
	ending_each_number("/proc/self/fd", keep_fd);
	forget_closed(lazyd->opts->status_fd);
	sigprocmask(SIG_SETMASK, NULL, &self.daemon_mask);
	watch_signals();
	prctl(PR_SET_NAME, "lazy-supervisor");
	for (;;) {
		pid = run_daemon(&status);
		if (pid == 0)
			return 0;
		if (pid < 0 || !is_to_go_on(status))
			leave(status);
		lazyd->journal->generation++;
		log_warn("the lazy-pages daemon died (%s): starting another one", end_of(status));
	}
}

/*
 * Made by a daemon with threads: a lock of libc may be held for ever in this copy of its memory, so
 * no daemon can be made of it.
 */
static void supervise(int daemon_pidfd) __attribute__((noreturn));
static void supervise(int daemon_pidfd)
{
	prctl(PR_SET_NAME, "lazy-supervisor");
	watch_signals();
	wait_for_daemon(daemon_pidfd, false);
	leave(-1);
}

void supervisor_replace(struct lazyd *lazyd)
{
	int daemon_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	int pidfd = -1;
	pid_t pid;

	close(lazyd->supervisor_pidfd); /* leaves epoll with its last reference */
	lazyd->supervisor_pidfd = -1;
	log_warn("the supervisor was killed: making another one, which ends the tasks if this "
		 "daemon dies");
	pid = daemon_pidfd < 0 ? -1 : clone_files(&pidfd);
	if (pid == 0) {
		setsid();
		supervise(daemon_pidfd);
	}
	if (pid < 0) {
		log_errno("supervisor: clone; while this daemon lives all is well");
		return;
	}
	lazyd->supervisor_pidfd = pidfd;
	if (pidfd >= 0)
		engine_watch(lazyd, lazyd->supervisor_pidfd, &lazyd->supervisor_watch,
			     WATCH_SUPERVISOR, NULL);
}
