// SPDX-License-Identifier: GPL-2.0
/*
 * POSIX timers with their ids. Since 6.15 prctl(PR_TIMER_CREATE_RESTORE_IDS) lets timer_create()
 * take the wanted id; before, the kernel counts ids up per process, so that making and deleting
 * timers gets there.
 */
#include "blob/restorer/restorer.h"
#include "blob/syscall.h"

enum { TIMER_ID_BOUND = 1 << 20 };

void timer_make(struct runner *runner, const struct restorer_call *call)
{
	int32_t wanted = (int32_t)call->args[2];

	for (uint32_t tries = 0; tries <= TIMER_ID_BOUND; tries++) {
		int32_t id = wanted;
		long ret =
			blob_call3(__NR_timer_create, call->args[0], call->args[1], (uintptr_t)&id);

		if (ret)
			runner_fail(runner, call, call->what, ret);
		if (id == wanted)
			return;
		blob_call1(__NR_timer_delete, id);
		if (id > wanted)
			break;
	}
	runner_fail(runner, call, call->what, -17 /* EEXIST */);
}
