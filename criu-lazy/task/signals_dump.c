// SPDX-License-Identifier: GPL-2.0
/* Pending signals, looked at without taking them (ptrace(2), PTRACE_PEEKSIGINFO). */
#include <sys/ptrace.h>

#include "task/task_dump.h"
#include "util/log.h"
#include "util/scope.h"

enum { PEEK_AT_ONCE = 32 };

int signals_dump_queue(pid_t tid, bool shared, struct signal_queue *out)
{
	struct __ptrace_peeksiginfo_args args = {
		.flags = shared ? PTRACE_PEEKSIGINFO_SHARED : 0,
		.nr = PEEK_AT_ONCE,
	};

	for (;;) {
		siginfo_t *more = realloc(out->infos, (args.off + PEEK_AT_ONCE) * sizeof(*more));
		long n;

		if (!more)
			return log_ret(-ENOMEM, "task %d: pending signals", tid);
		out->infos = more;
		n = ptrace(PTRACE_PEEKSIGINFO, tid, &args, out->infos + args.off);
		if (n < 0)
			return log_errno("task %d: PTRACE_PEEKSIGINFO", tid);
		args.off += n;
		out->count = args.off;
		if (n < PEEK_AT_ONCE)
			return 0;
	}
}
