// SPDX-License-Identifier: GPL-2.0
/* victim: modes=eager,lazy,daemon,remote,migrate */
/* A start that is the same each time: two tasks look at the same few of many pages, far apart. */
#include "victim.h"

#include <sys/wait.h>

enum { TOUCHES = 300, STRIDE = 32 * PAGE, AREA = TOUCHES * STRIDE };

static char *page_at(char *at, int i)
{
	return at + (long)(i * 7 % TOUCHES) * STRIDE + PAGE * (i % 3);
}

static void touch(char *at, int task)
{
	for (int i = 0; i < TOUCHES; i++)
		require(victim_find_damage(page_at(at, i), PAGE, 2 * i + task) < 0,
			"page %d of task %d", i, task);
}

/* Of other pages, which make the memory large, only the fact matters that they are there. */
static void fill(char *at, int task)
{
	memset(at, 1, AREA);
	for (int i = 0; i < TOUCHES; i++)
		victim_fill(page_at(at, i), PAGE, 2 * i + task);
}

int main(int argc, char **argv)
{
	char *at;
	pid_t pid;
	int status;

	victim_begin(argc, argv);
	at = victim_map(AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	pid = fork();
	require(pid >= 0, "fork");
	fill(at, !pid);

	victim_ready();

	touch(at, !pid);
	if (!pid)
		_exit(0);
	require(waitpid(pid, &status, 0) == pid && !status, "child: status 0x%x", status);
	victim_pass();
}
