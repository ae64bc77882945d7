// SPDX-License-Identifier: GPL-2.0
/*
 *   1. SIGKILL to every task named in the journal that is still owed pages.
 *   2. Each userfaultfd in the shared descriptor table, named or not (a FORK event may have been
 *      read in the daemon's last instant), is asked whether its address space lives. Events are
 *      drained meanwhile, for nobody else reads them and their threads wait.
 *   3. What lives on without a known process (an unnamed child, a vfork child on its parent's
 *      memory) has all its registered areas poisoned. Where they are is read from /proc/PID/smaps
 *      of every process ("um" in VmFlags); a wrong guess is refused by the kernel.
 *   4. When every space is gone or poisoned, and only then, the descriptors are closed by leaving.
 */
#include "lazy/ending.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lazy/engine.h"
#include "lazy/uffd.h"
#include "util/log.h"

enum {
	HELD_MAX = JOURNAL_SLOTS,
	TEXT_BYTES = 1 << 16,
	ROUND_NS = 2000000,
	GRACE_ROUNDS = 50,
	SAY_AFTER = 2500
};
#define UFFD_LINK "anon_inode:[userfaultfd]"

struct linux_dirent64 {
	uint64_t ino;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

struct ending {
	struct journal *journal;
	bool has_poison;
	struct {
		int uffd;
		bool is_over; /* gone, unarmed or poisoned */
	} held[HELD_MAX];
	int nr_held;
	int nr_beyond;	 /* with no room to note them: open as long as we live */
	bool is_partial; /* this round of poisoning met a change in flight */
};

static struct ending self; /* .bss: nothing is allocated */
static char text[TEXT_BYTES];

void ending_each_number(const char *path, void (*each)(int number))
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
	ending_each_number("/proc", poison_as_mapped_by);
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

int ending_of_all(struct journal *journal, bool has_poison)
{
	static const char said[] =
		"Error: the lazy-pages daemon died; its unfinished tasks are killed\n";
	int owed = 0;

	self.journal = journal;
	self.has_poison = has_poison;
	ending_each_number("/proc/self/fd", consider_fd);
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

void ending_of_one(int uffd, bool has_poison)
{
	self.has_poison = has_poison;
	self.nr_held = self.nr_beyond = 0;
	memset(self.held, 0, sizeof(self.held));
	hold(uffd);
	settle();
}
