// SPDX-License-Identifier: GPL-2.0
/* A tree with a zombie, a stopped task, a grandchild in a process group of its own, and threads. */
#include "victim.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static void *wait_forever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static pid_t spawn(void (*body)(void))
{
	pid_t pid = fork();

	require(pid >= 0, "fork");
	if (!pid) {
		body();
		_exit(0);
	}
	return pid;
}

static void be_dead(void)
{
	_exit(42);
}

static void be_stopped(void)
{
	raise(SIGSTOP);
	_exit(7);
}

static void have_group(void)
{
	pthread_t thread;

	setpgid(0, 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&thread, NULL, wait_forever, NULL);
	if (!fork())
		wait_forever(NULL);
	wait_forever(NULL);
}

int main(int argc, char **argv)
{
	pid_t dead, stopped, leader;
	siginfo_t info;
	int status;

	victim_begin(argc, argv);
	dead = spawn(be_dead);
	stopped = spawn(be_stopped);
	leader = spawn(have_group);
	require(!waitid(P_PID, dead, &info, WEXITED | WNOWAIT), "zombie");
	require(!waitid(P_PID, stopped, &info, WSTOPPED | WNOWAIT), "stopped");
	while (getpgid(leader) != leader)
		victim_sleep_ms(1);
	victim_sleep_ms(20); /* its threads and child */

	victim_ready();

	require(waitpid(dead, &status, WNOHANG) == dead, "zombie is gone");
	require(WIFEXITED(status) && WEXITSTATUS(status) == 42, "zombie: status 0x%x", status);
	require(waitpid(stopped, &status, WNOHANG) != stopped || WIFSTOPPED(status), "it runs");
	kill(stopped, SIGCONT);
	require(waitpid(stopped, &status, 0) == stopped, "wait");
	require(WIFEXITED(status) && WEXITSTATUS(status) == 7, "stopped: status 0x%x", status);
	require(getpgid(leader) == leader, "group");
	require(!kill(-leader, SIGKILL), "kill the group");
	require(waitpid(leader, &status, 0) == leader && WIFSIGNALED(status), "leader");
	victim_pass();
}
