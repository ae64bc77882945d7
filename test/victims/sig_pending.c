// SPDX-License-Identifier: GPL-2.0
/* Blocked signals wait: for the process and for one thread, queued ones in order and with their
 * values. */
#include "victim.h"

#include <pthread.h>
#include <signal.h>

enum { QUEUED = 20 };

static pthread_barrier_t set_up, verify;
static pid_t thread_tid;

static void take(sigset_t *set, int signo, int code, int value)
{
	struct timespec none = { 0 };
	siginfo_t info;

	/* glibc's wrapper shows SI_TKILL as SI_USER. */
	require(syscall(SYS_rt_sigtimedwait, set, &info, &none, 8) == signo, "wanted signal %d",
		signo);
	require(info.si_code == code, "signal %d: code %d", signo, info.si_code);
	require(info.si_pid == getpid(), "signal %d: sender %d", signo, info.si_pid);
	require(code != SI_QUEUE || info.si_value.sival_int == value, "signal %d: value %d", signo,
		info.si_value.sival_int);
}

static void *run(void *arg)
{
	sigset_t set;

	thread_tid = gettid();
	pthread_barrier_wait(&set_up);
	pthread_barrier_wait(&verify);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN + 2);
	take(&set, SIGUSR2, SI_TKILL, 0);
	for (int i = 0; i < QUEUED; i++)
		take(&set, SIGRTMIN + 2, SI_QUEUE, 1000 + i);
	return NULL;
}

int main(int argc, char **argv)
{
	struct timespec none = { 0 };
	pthread_t thread;
	sigset_t all, set;

	victim_begin(argc, argv);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	pthread_barrier_init(&set_up, NULL, 2);
	pthread_barrier_init(&verify, NULL, 2);
	require(!pthread_create(&thread, NULL, run, NULL), "thread");
	pthread_barrier_wait(&set_up);
	kill(getpid(), SIGUSR1);
	for (int i = 0; i < QUEUED; i++)
		require(!sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = i }),
			"queue");
	require(!pthread_kill(thread, SIGUSR2), "pthread_kill");
	for (int i = 0; i < QUEUED; i++)
		require(!pthread_sigqueue(thread, SIGRTMIN + 2,
					  (union sigval){ .sival_int = 1000 + i }),
			"queue");

	victim_ready();

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 1);
	take(&set, SIGUSR1, SI_USER, 0);
	for (int i = 0; i < QUEUED; i++)
		take(&set, SIGRTMIN + 1, SI_QUEUE, i);
	require(sigtimedwait(&set, NULL, &none) == -1, "one more signal");
	pthread_barrier_wait(&verify);
	pthread_join(thread, NULL);
	victim_pass();
}
