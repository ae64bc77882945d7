// SPDX-License-Identifier: GPL-2.0
/* The mask, with a real-time signal, and a signal that waits in the queue. */
#include <signal.h>
#include <sys/signalfd.h>

#include "victim.h"

int main(int argc, char **argv)
{
	struct signalfd_siginfo info;
	sigset_t mask;
	int fd;

	victim_begin(argc, argv);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGRTMIN + 3);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	require(fd >= 0 && !kill(getpid(), SIGUSR1), "create");
	victim_ready();
	require(read(fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGUSR1,
		"pending signal");
	require(read(fd, &info, sizeof(info)) < 0 && errno == EAGAIN, "only one");
	require(!kill(getpid(), SIGRTMIN + 3), "kill");
	require(read(fd, &info, sizeof(info)) == sizeof(info) &&
			info.ssi_signo == (uint32_t)SIGRTMIN + 3,
		"real-time signal");
	victim_pass();
}
