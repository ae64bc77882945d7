// SPDX-License-Identifier: GPL-2.0
/* The main thread's stack: content far below the current frame's caller, and growth afterwards. */
#include "victim.h"

enum { DEPTH = 64, FRAME = 16384 };

static uint64_t dig(int depth, int wait_at)
{
	uint64_t frame[FRAME / 8];
	uint64_t below = 0;

	victim_fill(frame, sizeof(frame), depth);
	if (depth == wait_at)
		victim_ready();
	else
		below = dig(depth + 1, wait_at);
	require_filled(frame, sizeof(frame), depth);
	return below + frame[0];
}

int main(int argc, char **argv)
{
	uint64_t before;

	victim_begin(argc, argv);
	before = dig(0, DEPTH);
	/* Deeper than ever before: the area must still grow. */
	require(before + dig(DEPTH + 1, 3 * DEPTH) != 0, "sum");
	victim_pass();
}
