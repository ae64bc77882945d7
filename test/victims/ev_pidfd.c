// SPDX-License-Identifier: GPL-2.0
/* A pidfd of the process itself and of its child. */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "victim.h"

int main(int argc, char **argv)
{
	struct pollfd waiting = { .events = POLLIN };
	int self, child;
	pid_t pid;

	victim_begin(argc, argv);
	pid = fork();
	require(pid >= 0, "fork");
	if (!pid)
		for (;;)
			pause();
	self = syscall(SYS_pidfd_open, getpid(), 0);
	child = syscall(SYS_pidfd_open, pid, 0);
	require(self >= 0 && child >= 0, "pidfd_open");
	victim_ready();
	waiting.fd = child;
	require(poll(&waiting, 1, 0) == 0, "the child lives");
	require(!syscall(SYS_pidfd_send_signal, self, 0, NULL, 0), "signal 0 to myself");
	require(!syscall(SYS_pidfd_send_signal, child, SIGTERM, NULL, 0), "signal to the child");
	require(poll(&waiting, 1, 5000) == 1, "the child dies");
	require(waitpid(pid, NULL, 0) == pid, "wait");
	victim_pass();
}
