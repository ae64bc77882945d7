// SPDX-License-Identifier: GPL-2.0
#include "lazy/copier.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lazy/uffd.h"
#include "util/priority.h"

enum { SPIN_ROUNDS = 2000 };

static void pause_cpu(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

static int wait_for_job(struct copier *copier)
{
	int state;

	for (int i = 0; i < SPIN_ROUNDS; i++) {
		state = atomic_load(&copier->state);
		if (state == COPIER_POSTED || state == COPIER_QUIT)
			return state;
		pause_cpu();
	}
	atomic_store(&copier->is_asleep, true);
	while ((state = atomic_load(&copier->state)) == COPIER_IDLE || state == COPIER_DONE)
		syscall(SYS_futex, &copier->state, FUTEX_WAIT_PRIVATE, state, NULL, NULL, 0);
	atomic_store(&copier->is_asleep, false);
	return state;
}

static void run_job(struct copier *copier)
{
	for (int i = 0; i < copier->count; i++) {
		struct copy_piece *piece = &copier->pieces[i];
		int ret = -ECANCELED;

		atomic_store(&copier->is_copying, true);
		if (!atomic_load(&copier->is_recalled))
			ret = uffd_copy(copier->uffd, piece->dst, piece->src, piece->len, true,
					&piece->done);
		if (ret != -ECANCELED)
			copier->error = ret;
		atomic_store(&copier->is_copying, false);
		if (ret)
			break;
	}
}

static void *copier_main(void *arg)
{
	struct copier *copier = arg;

	priority_bulk();
	while (wait_for_job(copier) == COPIER_POSTED) {
		int posted = COPIER_POSTED;

		run_job(copier);
		atomic_compare_exchange_strong(&copier->state, &posted, COPIER_DONE);
	}
	return NULL;
}

int copier_start(struct copier *copier)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&copier->thread, NULL, copier_main, copier);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -ret;
}

static void change_state(struct copier *copier, int state)
{
	atomic_store(&copier->state, state);
	if (atomic_load(&copier->is_asleep))
		syscall(SYS_futex, &copier->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void copier_stop(struct copier *copier)
{
	copier_recall(copier);
	change_state(copier, COPIER_QUIT);
	pthread_join(copier->thread, NULL);
}

void copier_post(struct copier *copier)
{
	for (int i = 0; i < copier->count; i++)
		copier->pieces[i].done = 0;
	copier->error = 0;
	atomic_store(&copier->is_recalled, false);
	change_state(copier, COPIER_POSTED);
}

void copier_recall(struct copier *copier)
{
	if (atomic_load(&copier->state) != COPIER_POSTED)
		return;
	atomic_store(&copier->is_recalled, true);
	/* In flight it is short; a copier that has not begun, or was preempted between two pieces,
	 * sees the recall before it copies. */
	for (int i = 0; atomic_load(&copier->is_copying); i++) {
		if (i < SPIN_ROUNDS)
			pause_cpu();
		else
			sched_yield(); /* it may need our processor to finish */
	}
}
