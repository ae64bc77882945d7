// SPDX-License-Identifier: GPL-2.0
/* Watches with a gap in their numbers, on a directory and a file; no event may appear by itself. */
#include <sys/inotify.h>

#include "victim.h"

static void next_event(int fd, int wd, uint32_t mask)
{
	char buf[4096] __attribute__((aligned(8)));
	const struct inotify_event *event = (void *)buf;
	ssize_t len = read(fd, buf, sizeof(buf));

	require(len >= (ssize_t)sizeof(*event), "read %zd", len);
	require(event->wd == wd && (event->mask & mask), "watch %d, mask %#x", event->wd,
		event->mask);
}

int main(int argc, char **argv)
{
	char dir[512], path[600], buf[4096];
	int fd, first, gap, last, file;

	victim_begin(argc, argv);
	victim_path(dir, sizeof(dir), "dir");
	snprintf(path, sizeof(path), "%s/file", dir);
	require(!mkdir(dir, 0755), "mkdir %s", dir);
	file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	fd = inotify_init1(IN_NONBLOCK);
	first = inotify_add_watch(fd, dir, IN_CREATE | IN_DELETE);
	gap = inotify_add_watch(fd, "/", IN_CREATE);
	last = inotify_add_watch(fd, path, IN_MODIFY | IN_CLOSE_WRITE);
	require(file >= 0 && first > 0 && gap > 0 && last > gap, "add watches");
	require(!inotify_rm_watch(fd, gap), "remove watch");
	require(read(fd, buf, sizeof(buf)) > 0, "IN_IGNORED");
	victim_ready();
	require(read(fd, buf, sizeof(buf)) < 0 && errno == EAGAIN, "events of nowhere");
	require(write(file, "x", 1) == 1, "write");
	next_event(fd, last, IN_MODIFY);
	require(!unlink(path), "unlink");
	next_event(fd, first, IN_DELETE);
	require(!rmdir(dir), "rmdir");
	victim_pass();
}
