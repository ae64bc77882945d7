// SPDX-License-Identifier: GPL-2.0
#include "restore/blob_error.h"

#include <stdio.h>
#include <sched.h>

#include "util/log.h"

/* clang-format off */
static const char *const sentences[RESTORER_WHAT_COUNT] = {
	[RESTORER_WHAT_UNMAP] = "unmap the restorer's own memory",
	[RESTORER_WHAT_VDSO] = "move the vDSO",
	[RESTORER_WHAT_MAP] = "map an area",
	[RESTORER_WHAT_READ] = "read pages from the images",
	[RESTORER_WHAT_PROTECT] = "protect an area",
	[RESTORER_WHAT_ADVISE] = "madvise an area",
	[RESTORER_WHAT_LOCK] = "lock an area",
	[RESTORER_WHAT_CLOSE] = "close a descriptor",
	[RESTORER_WHAT_LAZY] = "tell the lazy-pages daemon of its memory",
	[RESTORER_WHAT_LAZY_ACK] = "the lazy-pages daemon refused its memory or went away",
	[RESTORER_WHAT_UFFD] = "create a userfaultfd (needs CAP_SYS_PTRACE, "
			       "vm.unprivileged_userfaultfd or /dev/userfaultfd)",
	[RESTORER_WHAT_THREAD] = "create thread",
	[RESTORER_WHAT_MM] = "set the fields of its address space",
	[RESTORER_WHAT_PRCTL] = "set a process attribute",
	[RESTORER_WHAT_SIGACTION] = "set the action of a signal",
	[RESTORER_WHAT_SIGQUEUE] = "queue a pending signal",
	[RESTORER_WHAT_ALTSTACK] = "set the alternate signal stack",
	[RESTORER_WHAT_RSEQ] = "register the rseq area",
	[RESTORER_WHAT_FILE_LOCK] = "take a file lock",
	[RESTORER_WHAT_TIMER] = "create a timer with its id",
	[RESTORER_WHAT_SCHED] = "set scheduling",
	[RESTORER_WHAT_LIMIT] = "set a resource limit",
	[RESTORER_WHAT_CREDS] = "set credentials",
	[RESTORER_WHAT_SECCOMP] = "install a seccomp filter",
	[RESTORER_WHAT_MISC] = "restore",
};
/* clang-format on */

int blob_error_log(const struct restore *restore, const struct restorer_error *error)
{
	const char *sentence = NULL;

	if (!__atomic_load_n(&error->is_taken, __ATOMIC_SEQ_CST))
		return -ECANCELED;
	while (!__atomic_load_n(&error->is_written, __ATOMIC_SEQ_CST))
		sched_yield();
	if (error->what < RESTORER_WHAT_COUNT)
		sentence = sentences[error->what];
	return log_ret(error->err ? error->err : -EIO,
		       "task %d: thread %d: %s (call %u, %#lx, %#lx, %#lx)", error->pid, error->tid,
		       sentence ? sentence : "restore", error->nr, error->args[0], error->args[1],
		       error->args[2]);
}
