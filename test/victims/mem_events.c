// SPDX-License-Identifier: GPL-2.0
/* victim: modes=eager,lazy,daemon,remote,migrate */
/* Right after a restore the address space changes under the fill: remap, unmap, drop, fork, map
 * again. */
#include "victim.h"

#include <sys/wait.h>

enum { LEN = 4 << 20, AREAS = 6 };

static void check_child(char *at, uint64_t seed)
{
	int status;
	pid_t pid = fork();

	require(pid >= 0, "fork");
	if (!pid)
		_exit(victim_find_damage(at, LEN, seed) < 0 ? 0 : 1);
	require(waitpid(pid, &status, 0) == pid && !status, "bytes in a child, status %x", status);
}

int main(int argc, char **argv)
{
	char *at[AREAS], *moved, *grown, *again;

	victim_begin(argc, argv);
	for (int i = 0; i < AREAS; i++) {
		at[i] = victim_map(LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE);
		victim_fill(at[i], LEN, i);
	}

	victim_ready();

	check_child(at[5], 5);
	moved = victim_map(LEN, PROT_NONE, MAP_PRIVATE);
	moved = mremap(at[0], LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, moved);
	require(moved != MAP_FAILED, "mremap");
	grown = mremap(at[1], LEN, 2 * LEN, MREMAP_MAYMOVE);
	require(grown != MAP_FAILED, "mremap larger");
	require(!madvise(at[2] + LEN / 4, LEN / 2, MADV_DONTNEED), "DONTNEED");
	require(!munmap(at[3] + LEN / 2, LEN / 2), "munmap");
	again = mmap(at[3] + LEN / 2, LEN / 2, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	require(again == at[3] + LEN / 2, "mmap again");
	require(!mprotect(at[4], LEN / 2, PROT_READ), "mprotect");

	for (size_t i = 0; i < LEN / 2; i++)
		require(!again[i] && !at[2][LEN / 4 + i], "dropped page at %zu", i);
	require_filled(moved, LEN, 0);
	require_filled(grown, LEN, 1);
	for (size_t i = LEN; i < 2 * LEN; i += 512)
		require(!grown[i], "new part at %zu", i);
	require_filled(at[2], LEN / 4, 2);
	require_filled(at[3], LEN / 2, 3);
	require_filled(at[4], LEN, 4);
	check_child(moved, 0);
	victim_pass();
}
