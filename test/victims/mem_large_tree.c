// SPDX-License-Identifier: GPL-2.0
/* victim: modes=eager,lazy,daemon */
/* Several tasks, each with long runs of pages of its own and holes in between that must stay
 * zeros: the restorer helps one after another. */
#include <signal.h>
#include <sys/wait.h>

#include "victim.h"

enum { TASKS = 3, RUNS = 5, RUN = 5 << 20, HOLE = 192 << 10 };

static void fill(char *at, int task)
{
	for (int i = 0; i < RUNS; i++)
		victim_fill(at + i * (RUN + HOLE), RUN, task * RUNS + i + 1);
}

static void verify(const char *at, int task)
{
	for (int i = 0; i < RUNS; i++) {
		const char *run = at + i * (RUN + HOLE);

		require_filled(run, RUN, task * RUNS + i + 1);
		for (size_t k = 0; k < HOLE; k++)
			require(!run[RUN + k], "task %d: hole %d has %d at %zu", task, i,
				run[RUN + k], k);
	}
}

int main(int argc, char **argv)
{
	pid_t children[TASKS];
	char *at;

	victim_begin(argc, argv);
	at = victim_map(RUNS * (RUN + HOLE), PROT_READ | PROT_WRITE, MAP_PRIVATE);
	for (int task = 1; task < TASKS; task++) {
		children[task] = fork();
		require(children[task] >= 0, "fork");
		if (children[task])
			continue;
		fill(at, task);
		raise(SIGSTOP);
		verify(at, task);
		_exit(0);
	}
	fill(at, 0);
	for (int task = 1; task < TASKS; task++)
		require(waitpid(-1, NULL, WUNTRACED) > 0, "a child stops");

	victim_ready();

	verify(at, 0);
	for (int task = 1; task < TASKS; task++) {
		int status;

		kill(children[task], SIGCONT);
		require(wait(&status) > 0 && !status, "a child found wrong bytes");
	}
	victim_pass();
}
