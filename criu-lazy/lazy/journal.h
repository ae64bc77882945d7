/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What outlives the daemon: memory shared with the supervisor, which needs the slots to end what
 * nobody will complete, and with the daemon that comes next, which goes on from here (recover.h).
 *
 *   slots    one per address space; written before the descriptor's first UFFDIO_REGISTER, and
 *            freed after the descriptor is closed
 *   areas    of each space, in the heap: two versions, one written while the other one is valid
 *   bits     of owed pages, in the heap (owed.h): only ever cleared, so one copy is enough
 *   inbox    the messages of one read(2), and how far they have been applied
 *
 * A daemon may be killed at any instruction. State moves from one consistent set to the next by one
 * store, of journal->epoch: a version is valid if it is the younger one of those whose epoch is not
 * above that. With it moves the number of messages that the set includes; what the inbox has beyond
 * is applied again by the next daemon. See architecture.md for why nothing else can be lost.
 *
 * A userfaultfd without a slot or without a valid version came from a FORK event of the inbox,
 * which will be applied again, or from a hello that was not answered yet.
 */
#ifndef LAZY_JOURNAL_H
#define LAZY_JOURNAL_H

#include <linux/userfaultfd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lazy/advice.h"
#include "lazy/stats.h"

enum { JOURNAL_SLOTS = 4096, JOURNAL_MSGS = 64, JOURNAL_SEGMENTS = 4096, JOURNAL_HOST = 256 };

enum journal_state {
	JOURNAL_FREE = 0,
	JOURNAL_OWED = 1, /* closing the descriptor now would turn owed pages into zeros */
	JOURNAL_DONE = 2, /* nothing owed; the descriptor is about to be closed */
};

/* One interval of an address space, as in owed.h. */
struct journal_area {
	uint64_t start, end, image, page_size;
	uint32_t kind, flags;
	uint64_t bits; /* in the heap; 0: owes nothing */
};

/* One version of what a space is. The blocks of the one that is not valid are room to write. */
struct journal_version {
	_Atomic uint64_t epoch; /* 0: none */
	uint64_t areas;		/* block of struct journal_area */
	uint64_t recent;	/* block of struct recent_change (engine.h) */
	uint32_t nr_areas, areas_room;
	_Atomic uint32_t nr_recent;
	uint32_t recent_room;
};

struct journal_slot {
	_Atomic int32_t state;
	int32_t uffd;
	_Atomic int32_t pid;   /* host pid, 0: unknown */
	_Atomic int32_t pidfd; /* in the shared descriptor table, -1: unknown */
	int32_t image_pid;
	_Atomic int32_t parent; /* slot of the space it was forked from while that lives, or -1 */
	bool is_forked;
	_Atomic bool is_young, has_young; /* engine.h */
	_Atomic bool is_doomed;
	uint64_t born;
	struct journal_version versions[2];
};

/* What changes with an epoch and belongs to no space. */
struct journal_commit {
	uint64_t batch;	   /* whose messages... */
	uint32_t nr_done;  /* ...are in it so far */
	uint32_t nr_tasks; /* as the hellos said */
	uint32_t nr_hellos, nr_lost;
	int32_t error;
	int32_t cookie_status; /* the answer to the last hello that was settled */
	uint64_t cookie;       /* of its socket */
};

/* Messages are all zero before a batch begins; the kernel writes them, in order. */
struct journal_inbox {
	_Atomic uint64_t batch;
	int32_t slot; /* whose, and its descriptor: a slot may not be made yet */
	int32_t uffd;
	struct advice_calls calls; /* who slept in what when it was read */
	struct uffd_msg msgs[JOURNAL_MSGS];
};

/* A shared segment's bits, in the heap. */
struct journal_segment {
	uint64_t shmid;
	uint64_t bits;
};

/* Copied now and then; may be a moment old. */
struct journal_mirror {
	bool is_restored, any_complete, is_leaving;
	int error;
	struct lazy_stats stats;
};

struct journal {
	_Atomic int32_t daemon_pid;
	_Atomic int32_t finished; /* the daemon leaves on its own account, with this status + 1 */
	_Atomic uint32_t nr_used; /* slots ever used are below this */
	int32_t daemon_pidfd;	  /* the supervisor's, -1: none */
	uint32_t generation;	  /* of the daemon: 0 is the first one */
	uint64_t lost_at;	  /* CLOCK_MONOTONIC ns: the last one's end was noticed */
	_Atomic uint64_t epoch;
	struct journal_commit commits[2]; /* by epoch % 2 */
	struct journal_inbox inbox;
	_Atomic uint32_t nr_segments;
	struct journal_segment segments[JOURNAL_SEGMENTS];
	struct journal_mirror mirror;
	/* The source: the same session for all daemons, and where it was told to be. */
	_Atomic bool has_session;
	_Atomic bool is_finishing; /* all is here, and the source is being told */
	uint8_t session[16];
	_Atomic uint32_t place; /* which of the two; 0: as the options say, 1 or 2 */
	struct {
		char host[JOURNAL_HOST];
		uint16_t port;
	} places[2];
	struct journal_slot slots[JOURNAL_SLOTS];
};

/* In shared memory, before the supervisor is made. NULL: no memory. */
struct journal *journal_new(void);
/* Daemon. A slot without a version for uffd, state JOURNAL_OWED; -1 when all are in use. */
int journal_add(struct journal *journal, int uffd, int pid, int pidfd);
void journal_identify(struct journal *journal, int slot, int pid, int pidfd);
void journal_set_done(struct journal *journal, int slot);
void journal_drop(struct journal *journal, int slot);

/* The version that counts, or NULL. */
struct journal_version *journal_valid(struct journal *journal, struct journal_slot *slot);
/* The place to write the next version to. */
struct journal_version *journal_spare(struct journal *journal, struct journal_slot *slot);
const struct journal_commit *journal_last(const struct journal *journal);
/* How many messages of the inbox are applied. */
uint32_t journal_applied(const struct journal *journal);

#endif
