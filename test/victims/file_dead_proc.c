// SPDX-License-Identifier: GPL-2.0
/* Files of /proc of a process that is gone: still open, also as working directory, and dead. */
#include "victim.h"

#include <signal.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	char path[64], text[64];
	int directory, status;
	pid_t child;

	victim_begin(argc, argv);
	child = fork();
	require(child >= 0, "fork");
	if (!child)
		for (;;)
			pause();
	snprintf(path, sizeof(path), "/proc/%d", child);
	directory = open(path, O_RDONLY | O_DIRECTORY);
	require(directory >= 0 && !chdir(path), "open %s", path);
	status = openat(directory, "status", O_RDONLY | O_CLOEXEC);
	require(status >= 0, "open status");
	require(!kill(child, SIGKILL) && waitpid(child, NULL, 0) == child, "kill");

	victim_ready();

	require(read(status, text, sizeof(text)) < 0 && errno == ESRCH, "it lives");
	require(openat(directory, "status", O_RDONLY) < 0, "its directory is alive");
	require(open("comm", O_RDONLY) < 0, "the working directory is alive");
	require(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD, "a child is left");
	victim_pass();
}
