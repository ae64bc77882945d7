// SPDX-License-Identifier: GPL-2.0
/* victim: modes=eager,lazy,daemon,remote,migrate */
/* Threads keep their ids, thread-local storage, stacks and locks, and can still be joined. */
#include "victim.h"

#include <pthread.h>

enum { THREADS = 32 };

static __thread uint64_t local[512];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int started;
static bool go;

static void *run(void *arg)
{
	uint64_t seed = (uintptr_t)arg, stack[1024];
	pid_t tid = gettid();
	pthread_t self = pthread_self();

	victim_fill(local, sizeof(local), seed);
	victim_fill(stack, sizeof(stack), ~seed);
	pthread_mutex_lock(&lock);
	started++;
	pthread_cond_broadcast(&changed);
	while (!go)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	require(gettid() == tid, "tid was %d", tid);
	require(pthread_self() == self, "pthread_self");
	require_filled(local, sizeof(local), seed);
	require_filled(stack, sizeof(stack), ~seed);
	return (void *)(uintptr_t)(seed * 3);
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	victim_begin(argc, argv);
	for (uintptr_t i = 0; i < THREADS; i++)
		require(!pthread_create(&threads[i], NULL, run, (void *)i), "thread %zu", i);
	pthread_mutex_lock(&lock);
	while (started < THREADS)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);

	victim_ready();

	pthread_mutex_lock(&lock);
	go = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	for (uintptr_t i = 0; i < THREADS; i++) {
		void *result;

		/* Needs clear_child_tid of each thread. */
		require(!pthread_join(threads[i], &result), "join %zu", i);
		require((uintptr_t)result == i * 3, "result of %zu", i);
	}
	require(!pthread_create(&threads[0], NULL, run, NULL) && !pthread_join(threads[0], NULL),
		"a new thread");
	victim_pass();
}
