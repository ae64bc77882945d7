// SPDX-License-Identifier: GPL-2.0
/* The capacity of a pipe, larger and smaller than usual, and what then fits. */
#include "victim.h"

enum { LARGE = 1 << 20, SMALL = PAGE };

static char content[LARGE], got[LARGE];

int main(int argc, char **argv)
{
	int large[2], small[2];

	victim_begin(argc, argv);
	require(!pipe2(large, O_NONBLOCK) && !pipe2(small, O_NONBLOCK), "pipe2");
	if (fcntl(large[1], F_SETPIPE_SZ, LARGE) < 0)
		victim_skip("pipes of 1 MiB are not allowed");
	require(fcntl(small[1], F_SETPIPE_SZ, SMALL) == SMALL, "small");
	victim_fill(content, LARGE, 1);
	require(write(large[1], content, LARGE) == LARGE, "fill");

	victim_ready();

	require(fcntl(large[0], F_GETPIPE_SZ) == LARGE, "size of the large one");
	require(fcntl(small[0], F_GETPIPE_SZ) == SMALL, "size of the small one");
	require(write(large[1], "x", 1) < 0 && errno == EAGAIN, "it is full");
	require(read(large[0], got, LARGE) == LARGE, "read");
	require_filled(got, LARGE, 1);
	require(write(small[1], content, 2 * PAGE) == PAGE, "what fits");
	victim_pass();
}
