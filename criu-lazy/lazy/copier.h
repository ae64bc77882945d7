/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Threads that copy and do nothing else: the engine hands each a short list of pieces of one
 * address space and takes the outcome back. They know nothing of what is owed.
 *
 * A piece computed before an event must not be copied after that event was read, or a page the task
 * has dropped would rise again. So before it reads, the engine recalls the space's copiers: each
 * stops before its next piece, and the engine waits for the one in flight (32 KiB, about 8 us).
 *
 *   copier                      engine
 *     is_copying = true           is_recalled = true
 *     is_recalled? then stop      wait while is_copying
 *     UFFDIO_COPY                 read(2), apply, post anew what is still owed
 *     is_copying = false
 */
#ifndef LAZY_COPIER_H
#define LAZY_COPIER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { COPIER_PIECES = 32, COPIERS_MAX = 8 };
#define COPIER_PIECE_BYTES (32ull << 10)

struct copy_piece {
	uint64_t dst, len;
	const void *src;
	uint64_t done; /* out: bytes copied */
};

enum copier_state { COPIER_IDLE, COPIER_POSTED, COPIER_DONE, COPIER_QUIT };

struct copier {
	pthread_t thread;
	_Atomic int state; /* enum copier_state; the copier only moves POSTED -> DONE */
	_Atomic bool is_asleep, is_recalled, is_copying;
	int uffd;
	int count;
	struct copy_piece pieces[COPIER_PIECES];
	int error;   /* out: what stopped the job early, or 0 */
	void *owner; /* the engine's: whose job it is */
};

/* 0 or -errno; the copier is idle then. */
int copier_start(struct copier *copier);
void copier_stop(struct copier *copier);
/* Engine: the idle copier's pieces, count and uffd are filled in; off it goes. */
void copier_post(struct copier *copier);
/* Engine: no copy is in flight when this returns, and the job is done as far as it went. */
void copier_recall(struct copier *copier);

#endif
