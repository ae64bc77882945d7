// SPDX-License-Identifier: GPL-2.0
/* victim: modes=eager,lazy,daemon,remote,migrate */
/* Many children at once, each forked while pages are owed, each looking at some of them. */
#include "victim.h"

#include <sys/wait.h>

enum { PART = 4 << 20, PARTS = 8, CHILDREN = 60 };

int main(int argc, char **argv)
{
	pid_t pids[CHILDREN];
	char *at;

	victim_begin(argc, argv);
	at = victim_map(PARTS * PART, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	for (int i = 0; i < PARTS; i++)
		victim_fill(at + i * PART, PART, i);

	victim_ready();

	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		require(pids[i] >= 0, "fork %d", i);
		if (!pids[i])
			_exit(victim_find_damage(at + i % PARTS * PART, PART, i % PARTS) >= 0);
	}
	for (int i = 0; i < CHILDREN; i++) {
		int status;

		require(waitpid(pids[i], &status, 0) == pids[i], "wait %d", i);
		require(!status, "child %d: status 0x%x", i, status);
	}
	for (int i = 0; i < PARTS; i++)
		require_filled(at + i * PART, PART, i);
	victim_pass();
}
