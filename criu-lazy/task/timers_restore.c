// SPDX-License-Identifier: GPL-2.0
/* Interval timers and POSIX timers. */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "task/task_restore.h"

#define PR_TIMER_CREATE_RESTORE_IDS	77 /* since 6.15 */
#define PR_TIMER_CREATE_RESTORE_IDS_OFF 0
#define PR_TIMER_CREATE_RESTORE_IDS_ON	1

struct kernel_sigevent { /* struct sigevent, 64 bytes */
	uint64_t value;
	int32_t signo, notify, tid;
	int32_t pad[11];
};

_Static_assert(sizeof(struct kernel_sigevent) == 64, "sigevent is ABI");

static void compose_itimer(struct compose *compose, int which, const ItimerEntry *entry)
{
	struct itimerval value = {
		.it_interval = { entry->isec, entry->iusec },
		.it_value = { entry->vsec, entry->vusec },
	};

	if (!entry->vsec && !entry->vusec)
		return;
	calls_must(&compose->calls, RESTORER_WHAT_TIMER, SYS_setitimer, which,
		   region_copy(&compose->region, &value, sizeof(value)), 0);
}

static void compose_posix_timer(struct compose *compose, const PosixTimerEntry *entry)
{
	struct kernel_sigevent event = {
		.value = entry->sival_ptr,
		.signo = entry->si_signo,
		.notify = entry->it_sigev_notify,
	};
	struct itimerspec value = {
		.it_interval = { entry->isec, entry->insec },
		.it_value = { entry->vsec, entry->vnsec },
	};

	if (entry->it_sigev_notify & SIGEV_THREAD_ID)
		event.tid =
			entry->has_notify_thread_id ? entry->notify_thread_id : compose->task->pid;
	calls_must(&compose->calls, RESTORER_WHAT_TIMER, RESTORER_OP_TIMER,
		   (int32_t)entry->clock_id, region_copy(&compose->region, &event, sizeof(event)),
		   entry->it_id);
	if (entry->vsec || entry->vnsec)
		calls_must(&compose->calls, RESTORER_WHAT_TIMER, SYS_timer_settime, entry->it_id, 0,
			   region_copy(&compose->region, &value, sizeof(value)), 0);
}

void compose_timers(struct compose *compose, const TaskTimersEntry *timers)
{
	if (!timers)
		return;
	if (timers->n_posix)
		calls_try(&compose->calls, RESTORER_WHAT_TIMER, SYS_prctl,
			  PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_ON, 0, 0, 0);
	for (size_t i = 0; i < timers->n_posix; i++)
		compose_posix_timer(compose, timers->posix[i]);
	if (timers->n_posix)
		calls_try(&compose->calls, RESTORER_WHAT_TIMER, SYS_prctl,
			  PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_OFF, 0, 0, 0);
	compose_itimer(compose, ITIMER_REAL, timers->real);
	compose_itimer(compose, ITIMER_VIRTUAL, timers->virt);
	compose_itimer(compose, ITIMER_PROF, timers->prof);
}
