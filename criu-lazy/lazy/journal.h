/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the supervisor must know when the serving daemon is dead: memory shared by both. The
 * daemon writes a slot before the descriptor's first UFFDIO_REGISTER and clears it after the
 * address space owes nothing any more. A userfaultfd without a slot came from a FORK event in the
 * daemon's last instant: it counts as owed.
 */
#ifndef LAZY_JOURNAL_H
#define LAZY_JOURNAL_H

#include <stdatomic.h>
#include <stdint.h>

enum { JOURNAL_SLOTS = 4096 };

enum journal_state {
	JOURNAL_FREE = 0,
	JOURNAL_OWED = 1, /* closing the descriptor now would turn owed pages into zeros */
	JOURNAL_DONE = 2, /* nothing owed; the descriptor is about to be closed */
};

struct journal_slot {
	_Atomic int32_t state;
	int32_t uffd;
	_Atomic int32_t pid;   /* host pid, 0: unknown */
	_Atomic int32_t pidfd; /* in the shared descriptor table, -1: unknown */
};

struct journal {
	_Atomic int32_t daemon_pid;
	_Atomic int32_t finished; /* the daemon leaves on its own account, with this status + 1 */
	_Atomic uint32_t nr_used; /* slots ever used are below this */
	struct journal_slot slots[JOURNAL_SLOTS];
};

/* In shared memory, before the supervisor is made. NULL: no memory. */
struct journal *journal_new(void);
/* Daemon. A slot for uffd, state JOURNAL_OWED; -1 when all are in use. */
int journal_add(struct journal *journal, int uffd, int pid, int pidfd);
void journal_identify(struct journal *journal, int slot, int pid, int pidfd);
void journal_set_done(struct journal *journal, int slot);
void journal_drop(struct journal *journal, int slot);

#endif
