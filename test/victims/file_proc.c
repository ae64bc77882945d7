// SPDX-License-Identifier: GPL-2.0
/* Files of /proc about itself: they can only be opened when the task is there. */
#include "victim.h"

int main(int argc, char **argv)
{
	char text[4096], wanted[64];
	int status, directory, version, fd;
	ssize_t len;

	victim_begin(argc, argv);
	status = open("/proc/self/status", O_RDONLY);
	directory = open("/proc/self", O_RDONLY | O_DIRECTORY);
	version = open("/proc/version", O_RDONLY);
	require(status >= 0 && directory >= 0 && version >= 0, "open");
	require(read(version, text, 5) == 5, "read a part");

	victim_ready();

	len = read(status, text, sizeof(text) - 1);
	require(len > 0, "read status");
	text[len] = '\0';
	snprintf(wanted, sizeof(wanted), "\nPid:\t%d\n", getpid());
	require(strstr(text, wanted), "status is of another process");
	fd = openat(directory, "comm", O_RDONLY);
	require(fd >= 0 && read(fd, text, sizeof(text)) > 0, "openat");
	require(lseek(version, 0, SEEK_CUR) == 5, "position");
	victim_pass();
}
