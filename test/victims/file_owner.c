// SPDX-License-Identifier: GPL-2.0
/* SIGIO: its receiver and its signal, and that it comes, with the number in it. */
#include "victim.h"

#include <signal.h>

static volatile sig_atomic_t came_fd = -1, came_signal;

static void on_signal(int signo, siginfo_t *info, void *context)
{
	came_signal = signo;
	came_fd = info->si_fd;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	struct f_owner_ex thread = { .type = F_OWNER_TID }, owner = { 0 };
	int file, ends[2], pipes[2];

	victim_begin(argc, argv);
	thread.pid = (int)syscall(SYS_gettid);
	sigaction(SIGRTMIN + 3, &action, NULL);
	file = victim_open("data", O_RDWR | O_CREAT);
	require(!fcntl(file, F_SETSIG, SIGUSR2), "F_SETSIG alone");
	require(!pipe(ends) && !pipe(pipes), "pipe");
	require(!fcntl(ends[0], F_SETOWN_EX, &thread) && !fcntl(ends[0], F_SETSIG, SIGRTMIN + 3) &&
			!fcntl(ends[0], F_SETFL, O_ASYNC),
		"owner");
	require(!fcntl(pipes[0], F_SETOWN, -getpgrp()), "owner is a group");

	victim_ready();

	require(fcntl(file, F_GETSIG) == SIGUSR2 && fcntl(file, F_GETOWN) == 0, "signal alone");
	require(!fcntl(ends[0], F_GETOWN_EX, &owner) && owner.type == F_OWNER_TID &&
			owner.pid == thread.pid,
		"owner %d of type %d", owner.pid, owner.type);
	require(fcntl(pipes[0], F_GETOWN) == -getpgrp(), "group");
	require(came_fd == -1, "a signal too early");
	require(write(ends[1], "x", 1) == 1, "write");
	require(came_signal == SIGRTMIN + 3 && came_fd == ends[0], "signal %d for fd %d",
		(int)came_signal, (int)came_fd);
	victim_pass();
}
