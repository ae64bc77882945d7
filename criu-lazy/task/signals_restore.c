// SPDX-License-Identifier: GPL-2.0
/* Signal actions and pending signals. */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "task/task_restore.h"

enum { SIGNALS = 64, SIGINFO_BYTES = 128, SIGSET_BYTES = 8 };

/* struct sigaction as rt_sigaction(2) takes it, not the C library's. */
struct kernel_sigaction {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

/*
 * The images have an action for each signal but SIGKILL and SIGSTOP, in order. SIGCHLD is set to
 * its default first: that drops what our own dead helpers and zombies have left pending.
 */
int compose_sigactions(struct compose *compose)
{
	const TaskCoreEntry *tc = compose->task->restore->cores[0]->tc;
	const struct kernel_sigaction none = { 0 };
	size_t index = 0;

	calls_must(&compose->calls, RESTORER_WHAT_SIGACTION, SYS_rt_sigaction, SIGCHLD,
		   region_copy(&compose->region, &none, sizeof(none)), 0, SIGSET_BYTES);
	for (int signal = 1; signal <= SIGNALS && index < tc->n_sigactions; signal++) {
		const SaEntry *entry;
		struct kernel_sigaction action;

		if (signal == SIGKILL || signal == SIGSTOP)
			continue;
		entry = tc->sigactions[index++];
		action = (struct kernel_sigaction){ entry->sigaction, entry->flags, entry->restorer,
						    entry->mask };
		calls_must(&compose->calls, RESTORER_WHAT_SIGACTION, SYS_rt_sigaction, signal,
			   region_copy(&compose->region, &action, sizeof(action)), 0, SIGSET_BYTES);
	}
	return 0;
}

/* tid: of the running thread for its own queue, 0 for the process's (run by the leader). */
void compose_pending(struct compose *compose, struct calls *calls, const SignalQueueEntry *queue,
		     pid_t tid)
{
	for (size_t i = 0; queue && i < queue->n_signals; i++) {
		const ProtobufCBinaryData *data = &queue->signals[i]->siginfo;
		uint8_t info[SIGINFO_BYTES] = { 0 };
		int32_t signal;
		uint64_t at;

		memcpy(info, data->data, data->len < sizeof(info) ? data->len : sizeof(info));
		memcpy(&signal, info, sizeof(signal));
		if (signal <= 0 || signal > SIGNALS || signal == SIGSTOP)
			continue; /* a stop is made when the task is let go */
		at = region_copy(&compose->region, info, sizeof(info));
		if (tid)
			calls_must(calls, RESTORER_WHAT_SIGQUEUE, SYS_rt_tgsigqueueinfo,
				   compose->task->pid, tid, signal, at);
		else
			calls_must(calls, RESTORER_WHAT_SIGQUEUE, SYS_rt_sigqueueinfo,
				   compose->task->pid, signal, at);
	}
}
