// SPDX-License-Identifier: GPL-2.0
/*
 * When the daemon has died with pages owed (--on-daemon-loss):
 *
 * restart  Another one is made, of the supervisor's memory, which is as it was before the first
 *          began: at once, but not more than RESTARTS_MAX times in RESTARTS_NS. Then, and when it
 *          says that it cannot take over: kill.
 * hold     Nothing is done until somebody says what (control.h), or nobody is left who waits.
 * kill     As follows.
 *
 *   1. SIGKILL to every task named in the journal that is still owed pages.
 *   2. Each userfaultfd in the shared descriptor table, named or not (a FORK event may have been
 * read in the daemon's last instant), is asked whether its address space lives. Events are drained
 *      meanwhile, for nobody else reads them and their threads wait.
 *   3. What lives on without a known process (an unnamed child, a vfork child on its parent's
 *      memory) has all its registered areas poisoned. Where they are is read from /proc/PID/smaps
 * of every process ("um" in VmFlags); a wrong guess is refused by the kernel.
 *   4. When every space is gone or poisoned, and only then, the descriptors are closed by leaving.
 *
 * A supervisor made by supervisor_replace() comes from a process with threads: nothing here may
 * allocate or take a lock of libc.
 */
#include "lazy/supervisor.h"

#include <dirent.h>
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
#include "lazy/engine.h"
#include "lazy/uffd.h"
#include "util/log.h"

enum {
	HELD_MAX = JOURNAL_SLOTS,
	TEXT_BYTES = 1 << 16,
	ROUND_NS = 2000000,
	GRACE_ROUNDS = 50,
	SAY_AFTER = 2500,
	RESTARTS_MAX = 5,
	HOLD_LOOK_MS = 200,
};
#define RESTARTS_NS (60 * 1000000000ull)
#define UFFD_LINK   "anon_inode:[userfaultfd]"

struct linux_dirent64 {
	uint64_t ino;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

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
	struct {
		int uffd;
		bool is_over; /* gone, unarmed or poisoned */
	} held[HELD_MAX];
	int nr_held;
	int nr_beyond;	 /* with no room to note them: open as long as we live */
	bool is_partial; /* this round of poisoning met a change in flight */
};

static struct supervisor self; /* .bss: no allocation, see above */
static char text[TEXT_BYTES];

/* Calls each() for every numeric name in a directory of /proc. */
static void for_each_number(const char *path, void (*each)(int number))
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char buf[8192];
	long len;

	if (dir < 0)
		return;
	while ((len = syscall(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < len;) {
			struct linux_dirent64 *entry = (void *)(buf + at);

			if (entry->name[0] >= '0' && entry->name[0] <= '9')
				each(atoi(entry->name));
			at += entry->length;
		}
	}
	close(dir);
}

static void hold(int uffd)
{
	/* The daemon may have died before it came to this. */
	fcntl(uffd, F_SETFL, O_NONBLOCK);
	if (self.nr_held < HELD_MAX)
		self.held[self.nr_held++].uffd = uffd;
	else
		self.nr_beyond++;
}

static void consider_fd(int fd)
{
	char path[64], link[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, link, sizeof(link));
	if (len != sizeof(UFFD_LINK) - 1 || memcmp(link, UFFD_LINK, (size_t)len))
		return;
	hold(fd);
}

static const struct journal_slot *slot_of(int uffd)
{
	uint32_t nr_used = atomic_load(&self.journal->nr_used);

	for (uint32_t i = 0; i < nr_used; i++) {
		const struct journal_slot *slot = &self.journal->slots[i];

		if (atomic_load(&slot->state) != JOURNAL_FREE && slot->uffd == uffd)
			return slot;
	}
	return NULL;
}

static void drain(int uffd)
{
	struct uffd_msg msgs[16];
	ssize_t len;

	while ((len = read(uffd, msgs, sizeof(msgs))) > 0) {
		for (size_t i = 0; i < (size_t)len / sizeof(msgs[0]); i++) {
			if (msgs[i].event == UFFD_EVENT_FORK)
				hold((int)msgs[i].arg.fork.ufd);
		}
	}
}

static void poison(int uffd, uint64_t start, uint64_t end)
{
	uint64_t done;

	/* Pages that are there are skipped, page by page: each stops the kernel's walk. */
	while (start < end) {
		int ret = uffd_poison(uffd, start, end - start, &done);

		start += done;
		if (ret == -EAGAIN && !done) {
			drain(uffd);
			if (uffd_covers(uffd, start, start + LAZY_PAGE) == -EAGAIN) {
				self.is_partial = true;
				return;
			}
		} else if (ret == -ESRCH) {
			return;
		} else if (ret && !done) {
			start += LAZY_PAGE;
		}
	}
}

static void poison_everywhere(uint64_t start, uint64_t end)
{
	for (int i = 0; i < self.nr_held; i++) {
		int uffd = self.held[i].uffd;

		if (self.held[i].is_over || uffd_covers(uffd, start, start + LAZY_PAGE) == -ENOENT)
			continue;
		poison(uffd, start, end);
		uffd_wake(uffd, start, end);
	}
}

static uint64_t parse_hex(const char **at)
{
	uint64_t value = 0;

	for (;; (*at)++) {
		if (**at >= '0' && **at <= '9')
			value = value << 4 | (uint64_t)(**at - '0');
		else if (**at >= 'a' && **at <= 'f')
			value = value << 4 | (uint64_t)(**at - 'a' + 10);
		else
			return value;
	}
}

struct smaps_walk {
	uint64_t start, end;
};

static void smaps_line(struct smaps_walk *walk, const char *line)
{
	const char *at = line;
	uint64_t start = parse_hex(&at);

	if (*at == '-' && at > line) {
		at++;
		walk->start = start;
		walk->end = parse_hex(&at);
	} else if (!strncmp(line, "VmFlags:", 8) && strstr(line, " um")) {
		poison_everywhere(walk->start, walk->end);
	}
}

static void poison_as_mapped_by(int pid)
{
	struct smaps_walk walk = { 0 };
	size_t have = 0;
	char path[64];
	ssize_t len;
	int fd;

	if (pid == getpid())
		return;
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	while ((len = read(fd, text + have, sizeof(text) - 1 - have)) > 0) {
		char *line = text, *end;

		have += (size_t)len;
		text[have] = '\0';
		while ((end = strchr(line, '\n'))) {
			*end = '\0';
			smaps_line(&walk, line);
			line = end + 1;
		}
		have -= (size_t)(line - text);
		memmove(text, line, have);
		if (have == sizeof(text) - 1)
			have = 0; /* no line of smaps is that long */
	}
	close(fd);
}

/* True when nobody can read a zero through this descriptor any more. */
static bool is_over(int uffd)
{
	if (uffd_is_gone(uffd))
		return true;
	/* A descriptor whose handshake never was has nothing armed: then it succeeds now. */
	return uffd_enable(uffd, 0) == 0;
}

static bool is_owed(int uffd)
{
	const struct journal_slot *slot = slot_of(uffd);

	return !slot || atomic_load(&slot->state) == JOURNAL_OWED;
}

static void kill_named(void)
{
	uint32_t nr_used = atomic_load(&self.journal->nr_used);

	for (uint32_t i = 0; i < nr_used; i++) {
		struct journal_slot *slot = &self.journal->slots[i];
		int pidfd = atomic_load(&slot->pidfd);

		if (atomic_load(&slot->state) != JOURNAL_OWED || pidfd < 0)
			continue;
		if (!syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0))
			log_err("pid %d: killed: the lazy-pages daemon died and its memory was not "
				"complete",
				atomic_load(&slot->pid));
	}
}

static int count_left(void)
{
	int left = 0;

	for (int i = 0; i < self.nr_held; i++) {
		if (self.held[i].is_over)
			continue;
		drain(self.held[i].uffd);
		self.held[i].is_over = is_over(self.held[i].uffd);
		left += !self.held[i].is_over;
	}
	return left + self.nr_beyond;
}

/* One round over all processes; false: something moved meanwhile, another round is due. */
static bool poison_round(void)
{
	int before = self.nr_held;

	self.is_partial = false;
	for_each_number("/proc", poison_as_mapped_by);
	return !self.is_partial && self.nr_held == before;
}

/* Waits until every space is gone; what lives on after a while is poisoned, twice over. */
static void settle(void)
{
	const struct timespec pause = { .tv_nsec = ROUND_NS };
	int poisoned = 0;

	for (int round = 0;; round++) {
		int left = count_left();

		if (!left || (poisoned >= 2 && !self.nr_beyond))
			return;
		if (round >= GRACE_ROUNDS && self.has_poison)
			poisoned = poison_round() ? poisoned + 1 : 0;
		if (round == SAY_AFTER)
			log_err("%d address spaces are neither gone nor poisoned: holding them",
				left);
		nanosleep(&pause, NULL);
	}
}

static int apply_policy(void)
{
	static const char said[] =
		"Error: the lazy-pages daemon died; its unfinished tasks are killed\n";
	int owed = 0;

	for_each_number("/proc/self/fd", consider_fd);
	for (int i = 0; i < self.nr_held; i++) {
		self.held[i].is_over = !is_owed(self.held[i].uffd);
		owed += !self.held[i].is_over;
	}
	if (!owed)
		return 0;
	log_err("the lazy-pages daemon died with %d address spaces owed pages: killing their tasks",
		owed);
	kill_named();
	if (log_fd() >= 0 && write(STDERR_FILENO, said, sizeof(said) - 1) < 0)
		log_warn("standard error is closed");
	settle();
	return 1;
}

/* ---- watching ----------------------------------------------------------------------- */

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

void supervisor_bury(int uffd)
{
	self.nr_held = self.nr_beyond = 0;
	memset(self.held, 0, sizeof(self.held));
	hold(uffd);
	settle();
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
	self.journal->lost_at = lazy_now();
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
	uint64_t now = lazy_now();
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

	if (apply_policy())
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
	for_each_number("/proc/self/fd", keep_fd);
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
