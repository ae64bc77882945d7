// SPDX-License-Identifier: GPL-2.0
/*
 * Pty pairs: data on its way in both directions, half a line, termios, window size; a controlling
 * terminal with /dev/tty.
 */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "victim.h"

static int open_pair(int *slave)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	char path[64];

	require(master >= 0 && !grantpt(master) && !unlockpt(master), "ptmx");
	require(!ptsname_r(master, path, sizeof(path)), "ptsname");
	*slave = open(path, O_RDWR | O_NOCTTY);
	require(*slave >= 0, "open %s", path);
	return master;
}

/* Pieces that were written apart may come apart. */
static void require_read(int fd, const char *text)
{
	char buf[128] = "";
	size_t got = 0, wanted = strlen(text);

	while (got < wanted) {
		ssize_t len = read(fd, buf + got, sizeof(buf) - 1 - got);

		require(len > 0, "read after %zu bytes", got);
		got += len;
	}
	require(got == wanted && !memcmp(buf, text, got), "read %s", buf);
}

int main(int argc, char **argv)
{
	struct termios raw, after;
	struct winsize size = { 24, 80, 1, 2 }, got;
	int master, slave, plain, plain_slave, master_index, terminal;
	unsigned int index_before, index_after;
	pid_t foreground;

	victim_begin(argc, argv);
	master = open_pair(&slave);
	require(!tcgetattr(slave, &raw), "tcgetattr");
	cfmakeraw(&raw);
	raw.c_cc[VMIN] = 3;
	require(!tcsetattr(slave, TCSANOW, &raw) && !ioctl(master, TIOCSWINSZ, &size), "set up");
	require(write(slave, "output\n\x01", 8) == 8 && write(master, "in\x03\x04put", 7) == 7,
		"write");
	require(!ioctl(master, TIOCGPTN, &index_before), "index");

	plain = open_pair(&plain_slave);
	require(write(plain, "line\nhalf", 9) == 9, "type");
	if (getsid(0) == getpid())
		require(!ioctl(plain_slave, TIOCSCTTY, 0), "controlling terminal");
	terminal = open("/dev/tty", O_RDWR | O_NOCTTY);
	victim_ready();

	require_read(master, "output\n\x01");
	require_read(slave, "in\x03\x04put");
	require(!tcgetattr(slave, &after) && after.c_lflag == raw.c_lflag && after.c_cc[VMIN] == 3,
		"termios");
	require(!ioctl(slave, TIOCGWINSZ, &got) && !memcmp(&got, &size, sizeof(got)), "size");
	require(!ioctl(master, TIOCGPTN, &master_index), "index");
	index_after = master_index;
	require(index_before == index_after, "index %u became %u", index_before, index_after);
	require(write(slave, "more", 4) == 4, "write");
	require_read(master, "more");

	require_read(plain, "line\r\nhalf"); /* the echo */
	require_read(plain_slave, "line\n");
	require(write(plain, "!\n", 2) == 2, "finish the line");
	require_read(plain_slave, "half!\n");
	if (terminal >= 0) {
		require(write(terminal, "x", 1) == 1, "/dev/tty");
		require_read(plain, "!\r\nx");
		foreground = tcgetpgrp(plain_slave);
		require(foreground == getpgrp(), "foreground group %d", foreground);
	}
	victim_pass();
}
