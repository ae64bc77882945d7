/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which advice is a thread giving? A REMOVE event stands for MADV_DONTNEED, MADV_FREE and
 * MADV_REMOVE alike, and on a shared segment the first keeps the content and the last does not. The
 * caller sleeps until its event is read, so before reading /proc/PID/task/TID/syscall says what it
 * called.
 */
#ifndef LAZY_ADVICE_H
#define LAZY_ADVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { ADVICE_CALLS_MAX = 64 };

/* Such calls of one process, asleep in the kernel. */
struct advice_calls {
	size_t count;
	bool has_others; /* a call that forks, moves or unmaps is asleep, too */
	struct {
		uint64_t start, end;
		int advice;
	} calls[ADVICE_CALLS_MAX];
};

/*
 * All threads of pid, of which one is known to have queued an event. It need not be asleep at the
 * first look: each event that is read wakes all callers for a moment, and where processors are
 * scarce it may take its time to fall asleep again; and a thread that ends cuts the kernel's list
 * short. So for up to a tenth of a second it is looked again; then there is none, as when threads
 * cannot be read at all.
 */
void advice_scan(pid_t pid, struct advice_calls *out);
/* MADV_* of the call that covers [start, end); -1 if there is none, or they disagree. */
int advice_of(const struct advice_calls *calls, uint64_t start, uint64_t end);
/* One line of /proc/PID/task/TID/syscall; adds an madvise(2) call that removes pages, notes one
 * that changes areas otherwise. Pure. */
void advice_parse(const char *line, struct advice_calls *out);

#endif
