// SPDX-License-Identifier: GPL-2.0
/* Anonymous shared memory: content, a second view of part of it made by mremap, sharing with a
 * child later. */
#include "victim.h"

#include <sys/wait.h>

enum { LEN = 64 * PAGE };

int main(int argc, char **argv)
{
	char *shared, *view;
	int status;

	victim_begin(argc, argv);
	shared = victim_map(LEN, PROT_READ | PROT_WRITE, MAP_SHARED);
	victim_fill(shared, LEN / 2, 1);
	/* An old length of 0 maps the same pages again (mremap(2)). */
	view = mremap(shared, 0, LEN, MREMAP_MAYMOVE);
	require(view != MAP_FAILED, "mremap");

	victim_ready();

	require_filled(view, LEN / 2, 1);
	for (size_t at = LEN / 2; at < LEN; at++)
		require(!shared[at], "untouched byte at %zu", at);
	victim_fill(view + LEN / 2, LEN / 2, 2);
	require_filled(shared + LEN / 2, LEN / 2, 2);
	if (!fork()) {
		victim_fill(shared, LEN / 2, 3);
		_exit(0);
	}
	require(wait(&status) > 0 && !status, "child");
	require_filled(view, LEN / 2, 3);
	victim_pass();
}
