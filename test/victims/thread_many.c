// SPDX-License-Identifier: GPL-2.0
/* A few hundred threads with small stacks, each waiting in read(2) on its own pipe end. */
#include "victim.h"

#include <pthread.h>

enum { THREADS = 200 };

static int ends[2];
static int started;

static void *run(void *arg)
{
	char byte;

	__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
	require(read(ends[0], &byte, 1) == 1, "read");
	return (void *)(uintptr_t)(byte == 'x');
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	pthread_attr_t attr;

	victim_begin(argc, argv);
	require(!pipe(ends), "pipe");
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (int i = 0; i < THREADS; i++)
		require(!pthread_create(&threads[i], &attr, run, NULL), "thread %d", i);
	while (__atomic_load_n(&started, __ATOMIC_SEQ_CST) < THREADS)
		victim_sleep_ms(1);

	victim_ready();

	for (int i = 0; i < THREADS; i++)
		require(write(ends[1], "x", 1) == 1, "write");
	for (int i = 0; i < THREADS; i++) {
		void *result;

		require(!pthread_join(threads[i], &result) && result, "thread %d", i);
	}
	victim_pass();
}
