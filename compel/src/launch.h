/* SPDX-License-Identifier: GPL-2.0 */
/* Between the tracer and the built-in blob; legal on both sides. */
#ifndef COMPEL_LAUNCH_H
#define COMPEL_LAUNCH_H

#include <stdint.h>

struct launch_call { /* the layout of struct compel_call */
	uint64_t nr;
	uint64_t args[6];
	int64_t ret;
};
_Static_assert(sizeof(struct launch_call) == 64, "launch_call is 64 bytes");

enum { LAUNCH_DONE = 0x444f4e45, LAUNCH_NR_REGS = 18 };

/* How the thread goes on by itself if nobody takes the stop at the end: the tracer was killed. */
struct launch_rest {
	uint64_t is_there;
	uint64_t mask;
	uint64_t regs[LAUNCH_NR_REGS]; /* in the order of the architecture's blob_go_on() */
};

struct launch_args {
	uint64_t fn; /* 0, or a caller's blob: int64_t fn(arg) */
	uint64_t arg;
	int64_t ret;		      /* of fn */
	uint32_t state;		      /* LAUNCH_DONE at the end */
	volatile uint32_t end_signal; /* sent to the own thread as the last act */
	uint64_t nr_calls;
	struct launch_rest rest;
	struct launch_call calls[];
};
_Static_assert(sizeof(struct launch_args) == 200, "launch_args is 200 bytes");
_Static_assert(__builtin_offsetof(struct launch_args, rest.regs) == 56, "blob_go_on() knows it");

#endif
