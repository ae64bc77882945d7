/* SPDX-License-Identifier: GPL-2.0 */
/* Between the keeper blob and dump/keeper.c. */
#ifndef BLOB_KEEPER_ARGS_H
#define BLOB_KEEPER_ARGS_H

#include <stdint.h>

enum { KEEPER_STACK = 4096, KEEPER_SIGNAL = 23 /* SIGURG */ };

struct keeper_args {
	uint8_t stack[KEEPER_STACK] __attribute__((aligned(16)));
};
_Static_assert(sizeof(struct keeper_args) == KEEPER_STACK, "no padding");

#endif
