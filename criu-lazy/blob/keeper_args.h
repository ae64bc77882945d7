/* SPDX-License-Identifier: GPL-2.0 */
/* Between the keeper blob and dump/keeper.c. */
#ifndef BLOB_KEEPER_ARGS_H
#define BLOB_KEEPER_ARGS_H

#include <stdint.h>

enum { KEEPER_STACK = 4096 };

struct keeper_args {
	uint32_t is_ready; /* set by the keeper: it holds nothing but the memory */
	uint32_t reserved;
	int64_t error; /* of the keeper's system calls, 0 or a negative errno */
	uint8_t stack[KEEPER_STACK] __attribute__((aligned(16)));
};
_Static_assert(sizeof(struct keeper_args) == KEEPER_STACK + 16, "no padding");

#endif
