// SPDX-License-Identifier: GPL-2.0
/* What each thread has for itself: mask, alternate stack, affinity, nice value, policy, name,
 * robust list. */
#include "victim.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { THREADS = 4, ALT = 32768 };

static pthread_barrier_t set_up, verify;

struct robust {
	void *head;
	size_t len;
};

struct own {
	sigset_t mask;
	stack_t alt;
	cpu_set_t cpus;
	int nice, policy, slack;
	char name[16];
	struct robust robust;
};

static void look(struct own *own)
{
	memset(own, 0, sizeof(*own));
	pthread_sigmask(SIG_BLOCK, NULL, &own->mask);
	sigaltstack(NULL, &own->alt);
	sched_getaffinity(0, sizeof(own->cpus), &own->cpus);
	own->nice = getpriority(PRIO_PROCESS, gettid());
	own->policy = sched_getscheduler(0);
	own->slack = prctl(PR_GET_TIMERSLACK);
	prctl(PR_GET_NAME, own->name);
	syscall(SYS_get_robust_list, 0, &own->robust.head, &own->robust.len);
}

static void change(int i)
{
	struct sched_param none = { 0 };
	stack_t alt = { .ss_sp = malloc(ALT), .ss_size = ALT };
	char name[16];
	sigset_t mask;
	cpu_set_t cpus;

	sigemptyset(&mask);
	sigaddset(&mask, SIGRTMIN + i);
	sigaddset(&mask, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	require(!sigaltstack(&alt, NULL), "sigaltstack");
	require(!sched_getaffinity(0, sizeof(cpus), &cpus), "affinity");
	if (CPU_COUNT(&cpus) > 1)
		for (int cpu = 0, skip = i; cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, &cpus) && skip-- % CPU_COUNT(&cpus) == 0) {
				CPU_ZERO(&cpus);
				CPU_SET(cpu, &cpus);
				break;
			}
	require(!sched_setaffinity(0, sizeof(cpus), &cpus), "affinity");
	require(!sched_setscheduler(0, i % 2 ? SCHED_BATCH : SCHED_OTHER, &none), "policy");
	require(!setpriority(PRIO_PROCESS, gettid(), i + 1), "nice");
	snprintf(name, sizeof(name), "thread (%d) x", i);
	prctl(PR_SET_NAME, name);
	prctl(PR_SET_TIMERSLACK, 60000 + i);
}

static void *run(void *arg)
{
	struct own before, after;

	change((uintptr_t)arg);
	look(&before);
	pthread_barrier_wait(&set_up);
	pthread_barrier_wait(&verify);
	look(&after);
	require(!memcmp(&before.mask, &after.mask, 8), "mask");
	require(before.alt.ss_sp == after.alt.ss_sp && before.alt.ss_size == after.alt.ss_size,
		"alternate stack %p -> %p", before.alt.ss_sp, after.alt.ss_sp);
	require(CPU_EQUAL(&before.cpus, &after.cpus), "affinity");
	require(before.nice == after.nice, "nice %d -> %d", before.nice, after.nice);
	require(before.policy == after.policy, "policy %d -> %d", before.policy, after.policy);
	require(before.slack == after.slack, "slack %d -> %d", before.slack, after.slack);
	require(!strcmp(before.name, after.name), "name %s -> %s", before.name, after.name);
	require(before.robust.head == after.robust.head && before.robust.len == after.robust.len,
		"robust list %p -> %p", before.robust.head, after.robust.head);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	victim_begin(argc, argv);
	pthread_barrier_init(&set_up, NULL, THREADS + 1);
	pthread_barrier_init(&verify, NULL, THREADS + 1);
	for (uintptr_t i = 0; i < THREADS; i++)
		require(!pthread_create(&threads[i], NULL, run, (void *)i), "thread");
	pthread_barrier_wait(&set_up);

	victim_ready();

	pthread_barrier_wait(&verify);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	victim_pass();
}
