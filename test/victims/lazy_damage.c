// SPDX-License-Identifier: GPL-2.0
/* victim: modes=lazy,daemon */
/*
 * Its last pages in the image are an area above the stack that nobody touches by chance. When the
 * harness has damaged the end of the image (PREFIX.damaged), who touches that dies of it, and
 * nobody else.
 */
#include <signal.h>
#include <sys/wait.h>

#include "victim.h"

enum { LEN = 16 << 20, LOST = 4 << 20 };

/* Above the stack and the vDSO, where the kernel leaves a random gap. */
static char *map_high(void)
{
	for (uintptr_t at = (1ull << 47) - PAGE - LEN; at > (1ull << 47) - 32 * LEN; at -= LEN) {
		char *map = mmap((void *)at, LEN, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (map == (char *)at && map > (char *)&map)
			return map;
	}
	return NULL;
}

/* How a child ends that reads [from, to) of the area. */
static int touch(const char *at, size_t from, size_t to)
{
	static char good[LEN];
	int status;
	pid_t pid;

	victim_fill(good, LEN, 1);
	pid = fork();
	require(pid >= 0, "fork");
	if (!pid)
		_exit(memcmp(at + from, good + from, to - from) ? 1 : 0);
	require(waitpid(pid, &status, 0) == pid, "wait for %d", pid);
	return status;
}

int main(int argc, char **argv)
{
	char path[512], *at;
	int status;

	victim_begin(argc, argv);
	at = map_high();
	if (!at)
		victim_skip("no place above the stack");
	victim_fill(at, LEN, 1);

	victim_ready();

	victim_path(path, sizeof(path), "damaged");
	status = touch(at, 0, LEN - LOST);
	require(!status, "reading what is whole: status 0x%x", status);
	status = touch(at, LEN - LOST, LEN);
	if (access(path, F_OK))
		require(!status, "reading the rest: status 0x%x", status);
	else
		require(WIFSIGNALED(status) &&
				(WTERMSIG(status) == SIGBUS || WTERMSIG(status) == SIGKILL),
			"reading what is lost: status 0x%x", status);
	victim_pass();
}
