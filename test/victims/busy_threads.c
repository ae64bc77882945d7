// SPDX-License-Identifier: GPL-2.0
/* victim: ignore=maps,threads,Threads,fd,ShdPnd */
/* Threads that never rest: floating point, sleeps and polls that must not be cut short, pipes,
 * children that come and go. Any register or result that is not theirs shows. */
#include "victim.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

enum { THREADS = 8 };
static atomic_ulong rounds[THREADS];
static atomic_bool is_over;

static void compute(void)
{
	double x = 1.5, y = 1.5;

	for (int i = 0; i < 1000; i++)
		x = x * 1.0000001 + 1e-9;
	for (int i = 0; i < 1000; i++)
		y = y * 1.0000001 + 1e-9;
	require(x == y, "arithmetic");
}

static void rest_and_talk(void)
{
	char back[5];
	int fds[2];

	require(!poll(NULL, 0, 2), "poll");
	require(!pipe(fds) && write(fds[1], "hello", 5) == 5, "write");
	require(read(fds[0], back, 5) == 5 && !memcmp(back, "hello", 5), "read");
	close(fds[0]);
	close(fds[1]);
}

static void have_child(void)
{
	pid_t pid = fork();
	int status;

	require(pid >= 0, "fork");
	if (!pid) {
		victim_sleep_ms(1);
		_exit(7);
	}
	require(waitpid(pid, &status, 0) == pid, "waitpid");
	require(WIFEXITED(status) && WEXITSTATUS(status) == 7, "child: status 0x%x", status);
}

static void *run(void *arg)
{
	size_t n = (size_t)arg;

	while (!is_over) {
		if (n == 0)
			have_child();
		else if (n < 3)
			compute();
		else
			rest_and_talk();
		rounds[n]++;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	unsigned long before[THREADS];

	victim_begin(argc, argv);
	for (size_t i = 0; i < THREADS; i++)
		require(!pthread_create(&threads[i], NULL, run, (void *)i), "thread");

	victim_ready();

	for (size_t i = 0; i < THREADS; i++)
		before[i] = rounds[i];
	for (size_t i = 0; i < THREADS; i++) {
		for (int ms = 0; ms < 10000 && rounds[i] == before[i]; ms++)
			victim_sleep_ms(1);
		require(rounds[i] != before[i], "thread %zu hangs", i);
	}
	is_over = true;
	for (size_t i = 0; i < THREADS; i++)
		require(!pthread_join(threads[i], NULL), "join");
	victim_pass();
}
