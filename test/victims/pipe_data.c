// SPDX-License-Identifier: GPL-2.0
/* Pipes: what is in them, full ones, ends that are closed, more ends than two, non-blocking. */
#include "victim.h"

#include <signal.h>

static char content[1 << 16], got[1 << 16];

static int open_again(int fd, int flags)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags);
	require(again >= 0, "open %s", path);
	return again;
}

static void make(int ends[2], int flags)
{
	require(!pipe2(ends, flags), "pipe2");
}

int main(int argc, char **argv)
{
	int full[2], closed[2], empty[2], many[2], no_reader[2], extra_reader, both;

	victim_begin(argc, argv);
	victim_fill(content, sizeof(content), 3);
	make(full, O_CLOEXEC);
	require(write(full[1], content, sizeof(content)) == sizeof(content), "fill");
	make(closed, 0);
	require(write(closed[1], "last words", 10) == 10 && !close(closed[1]), "closed end");
	make(empty, O_NONBLOCK);
	make(many, 0);
	require(write(many[1], "abcdef", 6) == 6, "write");
	extra_reader = open_again(many[0], O_RDONLY | O_NONBLOCK);
	both = open_again(many[0], O_RDWR);
	make(no_reader, 0);
	close(no_reader[0]);

	victim_ready();

	require(read(full[0], got, sizeof(got)) == sizeof(got), "read all");
	require_filled(got, sizeof(got), 3);
	require(fcntl(full[0], F_GETFD) == FD_CLOEXEC, "close-on-exec");
	require(read(closed[0], got, 99) == 10 && !memcmp(got, "last words", 10), "last words");
	require(read(closed[0], got, 99) == 0, "end of file");
	require(read(empty[0], got, 1) < 0 && errno == EAGAIN, "empty");
	require(read(extra_reader, got, 2) == 2 && !memcmp(got, "ab", 2), "extra reader");
	require(read(many[0], got, 2) == 2 && !memcmp(got, "cd", 2), "first reader");
	require(read(both, got, 2) == 2 && !memcmp(got, "ef", 2), "both ways");
	require(read(extra_reader, got, 1) < 0 && errno == EAGAIN, "the flag is its own");
	require(write(both, "x", 1) == 1 && read(many[0], got, 1) == 1, "one pipe");
	signal(SIGPIPE, SIG_IGN);
	require(write(no_reader[1], "x", 1) < 0 && errno == EPIPE, "no reader");
	victim_pass();
}
