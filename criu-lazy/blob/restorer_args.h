/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What hosted code tells the restorer blob. Legal on both sides: fixed-width types, no libc.
 *
 * The blob is an interpreter of work items. Hosted code (restore/compose_*.c) writes one list for
 * the process and one per further thread; an item is a system call with its arguments, what to
 * expect of it and what it is for, or one of the few operations that are more than a call. So the
 * order of a restore is read in one place, in hosted code, and the blob stays small.
 *
 * Everything lives in one mapping, the region, at an address that is free in the restorer and in
 * the target:
 *
 *	code (r-x) | arguments, lists, strings, stacks (rw-) | struct restorer_shared | parked vDSO
 *
 * All pointers are absolute and lie inside the region.
 */
#ifndef BLOB_RESTORER_ARGS_H
#define BLOB_RESTORER_ARGS_H

#include <stdint.h>

enum restorer_op {
	/* below: system call numbers */
	RESTORER_OP_FIRST = 0x10000,
	/* Reads expect bytes with preadv(fd args[0], iovec args[1], count args[2], offset args[3]).
	 */
	RESTORER_OP_READ = RESTORER_OP_FIRST,
	/*
	 * Long runs of pages of anonymous areas (struct restorer_fill_list args[0]): installed by
	 * UFFDIO_COPY from the mapped file, which neither clears pages first nor takes a fault for
	 * each; without a userfaultfd they are read. The restorer helps by struct restorer_fill
	 * args[1].
	 */
	RESTORER_OP_FILL,
	/* Hands a userfaultfd over: socket args[0], message args[1], its length args[2],
	 * /dev/userfaultfd args[3] or -1, with a descriptor to pass if args[4]. */
	RESTORER_OP_LAZY,
	RESTORER_OP_THREADS, /* starts all threads */
	RESTORER_OP_JOIN,    /* waits until all further threads have done their lists up to here */
	/* timer_create(clock args[0], sigevent args[1]) with the id args[2]; overrun is lost. */
	RESTORER_OP_TIMER,
	/* The leader says that it has come here; the others wait until it has. */
	RESTORER_OP_FOLLOW,
	/* Says "at the gate" and waits until the restorer has opened it (seccomp). */
	RESTORER_OP_GATE,
	RESTORER_OP_POKE, /* copies args[2] bytes from args[1] to args[0] */
	RESTORER_OP_END,
};

enum restorer_check {
	RESTORER_ANY,	/* the result does not matter */
	RESTORER_OK,	/* not an error */
	RESTORER_EQUAL, /* must be `expect` */
};

/* What an item is for: chooses the sentence of an error (restore/blob_error.c). */
enum restorer_what {
	RESTORER_WHAT_NONE,
	RESTORER_WHAT_UNMAP,
	RESTORER_WHAT_VDSO,
	RESTORER_WHAT_MAP,
	RESTORER_WHAT_READ,
	RESTORER_WHAT_PROTECT,
	RESTORER_WHAT_ADVISE,
	RESTORER_WHAT_LOCK,
	RESTORER_WHAT_CLOSE,
	RESTORER_WHAT_LAZY,
	RESTORER_WHAT_LAZY_ACK,
	RESTORER_WHAT_UFFD,
	RESTORER_WHAT_THREAD,
	RESTORER_WHAT_MM,
	RESTORER_WHAT_PRCTL,
	RESTORER_WHAT_SIGACTION,
	RESTORER_WHAT_SIGQUEUE,
	RESTORER_WHAT_ALTSTACK,
	RESTORER_WHAT_RSEQ,
	RESTORER_WHAT_TIMER,
	RESTORER_WHAT_SCHED,
	RESTORER_WHAT_LIMIT,
	RESTORER_WHAT_CREDS,
	RESTORER_WHAT_SECCOMP,
	RESTORER_WHAT_FILE_LOCK,
	RESTORER_WHAT_MISC,
	RESTORER_WHAT_COUNT,
};

struct restorer_call {
	uint32_t nr; /* system call or enum restorer_op */
	uint16_t check;
	uint16_t what;
	uint64_t args[6];
	uint64_t expect;
};

struct restorer_area {
	uint64_t start, end;
};

/* At most RESTORER_PIECE_BYTES, so that two can share a long run. */
struct restorer_piece {
	uint64_t vaddr, len, offset;
	int32_t fd;	   /* of the pages file, in the task */
	int32_t source_fd; /* the same in the restorer */
};

struct restorer_fill_list {
	uint64_t areas, nr_areas; /* struct restorer_area[]: what to register */
	uint64_t pieces;	  /* struct restorer_piece[] */
	uint32_t nr_pieces, pad;
};

enum {
	RESTORER_PIECE_BYTES = 4 << 20,
	RESTORER_HELP_PIECES = 4, /* fewer are done before help has come */
};

enum restorer_help {
	RESTORER_HELP_NONE,
	RESTORER_HELP_WANTED, /* by the blob */
	RESTORER_HELP_COMES,  /* the restorer is at it */
	RESTORER_HELP_OVER,   /* the restorer holds nothing of the task any more */
};

/* One per task, in shared memory: who fills which piece. */
struct restorer_fill {
	uint32_t help;	  /* enum restorer_help; futex */
	int32_t uffd;	  /* in the task */
	uint64_t pieces;  /* in the task */
	uint64_t claimed; /* from the start: low half; from the end: high half */
	uint32_t nr_pieces, pad;
};

/* Takes the next piece of `count` from the start or the end; 0: none is left. */
static inline int restorer_claim(uint64_t *claimed, uint32_t count, int from_end, uint32_t *piece)
{
	uint64_t old = __atomic_load_n(claimed, __ATOMIC_SEQ_CST), next;
	uint32_t first, last;

	do {
		first = (uint32_t)old;
		last = (uint32_t)(old >> 32);
		if ((uint64_t)first + last >= count)
			return 0;
		next = old + (from_end ? 1ull << 32 : 1);
	} while (!__atomic_compare_exchange_n(claimed, &old, next, 0, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	*piece = from_end ? count - 1 - last : first;
	return 1;
}

enum { RESTORER_WINDOW_BYTES = 64 << 20 };

struct restorer_thread {
	uint64_t args; /* struct restorer_args */
	uint64_t calls;
	uint32_t nr_calls;
	int32_t tid; /* image tid */
	uint64_t stack, stack_size;
};

struct restorer_args {
	uint64_t shared;  /* struct restorer_shared */
	uint64_t threads; /* struct restorer_thread[], without the leader */
	uint32_t nr_threads;
	int32_t pid; /* image pid */
	uint64_t calls;
	uint32_t nr_calls;
	uint32_t joined; /* threads that are past their JOIN; futex */
	uint64_t window; /* RESTORER_WINDOW_BYTES of address space to map pages files in */
	uint32_t led;	 /* the leader is past FOLLOW; futex */
	uint32_t pad;
};

/* The first failure of any process of the restore. */
struct restorer_error {
	uint32_t is_taken;
	uint32_t is_written;
	int32_t pid, tid; /* image ids */
	int32_t err;	  /* negative errno */
	uint32_t what;
	uint32_t nr;
	uint32_t pad;
	uint64_t args[3];
};

/* Mapped shared in every process of the restore; the restorer watches `event`. */
struct restorer_shared {
	uint32_t event;	 /* futex; counts up with each piece of news below */
	uint32_t parked; /* threads that have finished their lists */
	uint32_t gated;	 /* threads that wait at the gate */
	uint32_t gate;	 /* futex; 1: open */
	uint32_t failed; /* somebody gave up: all the others stop where they are */
	uint32_t pad;
	struct restorer_error error;
};

_Static_assert(sizeof(struct restorer_call) == 64, "restorer_call has a fixed layout");
_Static_assert(sizeof(struct restorer_piece) == 32, "restorer_piece has a fixed layout");
_Static_assert(sizeof(struct restorer_fill) == 32, "restorer_fill has a fixed layout");
_Static_assert(sizeof(struct restorer_thread) == 40, "restorer_thread has a fixed layout");
_Static_assert(sizeof(struct restorer_args) == 56, "restorer_args has a fixed layout");
_Static_assert(sizeof(struct restorer_error) == 56, "restorer_error has a fixed layout");
_Static_assert(sizeof(struct restorer_shared) == 80, "restorer_shared has a fixed layout");

#endif
