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

static void child(char *at, int up, int down)
{
	char byte = 0;

	fill(at, 1);
	require(write(up, &byte, 1) == 1, "tell that it is filled");
	require(read(down, &byte, 1) == 1, "wait for the parent");
	touch(at, 1);
	_exit(0);
}

int main(int argc, char **argv)
{
	int up[2], down[2], status;
	char *at, byte = 0;
	pid_t pid;

	victim_begin(argc, argv);
	at = victim_map(AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	require(!pipe(up) && !pipe(down), "pipes");
	pid = fork();
	require(pid >= 0, "fork");
	if (!pid)
		child(at, up[1], down[0]);
	fill(at, 0);
	require(read(up[0], &byte, 1) == 1, "wait for the child");

	victim_ready();

	require(write(down[1], &byte, 1) == 1, "let the child go on");
	touch(at, 0);
	require(waitpid(pid, &status, 0) == pid && !status, "child: status 0x%x", status);
	victim_pass();
}
