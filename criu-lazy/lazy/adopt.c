// SPDX-License-Identifier: GPL-2.0
#include "lazy/adopt.h"

#include <dirent.h>
#include <errno.h>
#include <linux/kcmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "lazy/ending.h"
#include "lazy/engine.h"
#include "lazy/supervisor.h"
#include "lazy/uffd.h"
#include "util/log.h"
#include "util/scope.h"

#define UFFD_LINK "anon_inode:[userfaultfd]"

/* Descriptors to be looked at by adopt_finish(); of this process, which does it once. */
static struct {
	int *fds;
	size_t count, room;
	int *half_armed;
	size_t nr_half_armed;
} left;

bool adopt_is_uffd(int fd)
{
	char path[64], link[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, link, sizeof(link));
	return len == sizeof(UFFD_LINK) - 1 && !memcmp(link, UFFD_LINK, (size_t)len);
}

static int append(int **fds, size_t *count, int fd)
{
	void *grown = reallocarray(*fds, *count + 1, sizeof(int));

	if (!grown)
		return -ENOMEM;
	*fds = grown;
	(*fds)[(*count)++] = fd;
	return 0;
}

void adopt_half_armed(int uffd)
{
	if (append(&left.half_armed, &left.nr_half_armed, uffd))
		log_debug("descriptor %d stays open", uffd);
}

/* A connection to our own socket, from the side that accepts. */
static bool is_conn(const struct lazyd *lazyd, int fd)
{
	struct sockaddr_un own = { 0 }, ours = { 0 };
	socklen_t own_len = sizeof(own), ours_len = sizeof(ours), len = sizeof(int);
	int type = 0, listens = 1;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM)
		return false;
	len = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) || listens)
		return false;
	return !getsockname(fd, (struct sockaddr *)&own, &own_len) &&
	       !getsockname(lazyd->listen_fd, (struct sockaddr *)&ours, &ours_len) &&
	       own.sun_family == AF_UNIX && own_len == ours_len && !memcmp(&own, &ours, own_len);
}

static bool is_pidfd_of_slot(const struct journal *journal, int fd)
{
	uint32_t nr_used = atomic_load(&journal->nr_used);

	for (uint32_t i = 0; i < nr_used; i++) {
		const struct journal_slot *slot = &journal->slots[i];

		if (atomic_load(&slot->state) != JOURNAL_FREE && atomic_load(&slot->pidfd) == fd)
			return true;
	}
	return false;
}

static int sort_out(struct lazyd *lazyd, int fd)
{
	/* First: the number may have been another one's before the first daemon closed that. */
	if (adopt_is_uffd(fd) || is_conn(lazyd, fd))
		return append(&left.fds, &left.count, fd);
	if (!supervisor_keeps(fd) && !is_pidfd_of_slot(lazyd->journal, fd))
		close(fd);
	return 0;
}

int adopt_begin(struct lazyd *lazyd)
{
	scoped_dir DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int ret = 0;

	if (!dir)
		return log_errno("/proc/self/fd");
	while (!ret && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(dir))
			ret = sort_out(lazyd, fd);
	}
	return ret;
}

static bool is_of_space(struct lazyd *lazyd, int fd)
{
	struct space *space;

	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		if (space->uffd == fd)
			return true;
	}
	return false;
}

/* 1: another descriptor of some space's userfaultfd, 0: of none, -errno: the kernel cannot say. */
static int is_duplicate(struct lazyd *lazyd, int fd)
{
	pid_t self = getpid();
	struct space *space;

	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		long ret = syscall(SYS_kcmp, self, self, KCMP_FILE, (unsigned long)fd,
				   (unsigned long)space->uffd);

		if (ret < 0)
			return -errno;
		if (!ret)
			return 1;
	}
	return 0;
}

static bool is_half_armed(int fd)
{
	for (size_t i = 0; i < left.nr_half_armed; i++) {
		if (left.half_armed[i] == fd)
			return true;
	}
	return false;
}

/* Without a handshake nothing is armed: it was looked at in a hello, which still holds it. */
static bool is_fresh(int fd)
{
	return uffd_wake(fd, 1ull << 32, (1ull << 32) + LAZY_PAGE) == -EINVAL;
}

static void consider_uffd(struct lazyd *lazyd, int fd)
{
	int duplicate;

	if (is_of_space(lazyd, fd))
		return;
	duplicate = is_duplicate(lazyd, fd);
	if (duplicate > 0 || is_half_armed(fd) || is_fresh(fd)) {
		close(fd);
	} else if (!duplicate) {
		log_err("an address space that was forked cannot be followed: it is ended");
		lazyd->error = lazyd->error ? lazyd->error : -ESRCH;
		ending_of_one(fd, lazyd->has_poison);
	} else {
		log_ret(duplicate, "userfaultfd %d: whose it is cannot be asked; it is kept", fd);
	}
}

void adopt_finish(struct lazyd *lazyd)
{
	for (size_t i = 0; i < left.count; i++) {
		if (adopt_is_uffd(left.fds[i]))
			consider_uffd(lazyd, left.fds[i]);
	}
	for (size_t i = 0; i < left.count; i++) {
		if (is_conn(lazyd, left.fds[i]))
			conn_adopt(lazyd, left.fds[i]);
	}
	free(left.fds);
	free(left.half_armed);
	memset(&left, 0, sizeof(left));
}
