// SPDX-License-Identifier: GPL-2.0
/* victim: modes=eager,lazy,daemon,remote,migrate */
/* Replaces its own memory, and a child's, by exec while pages are owed. */
#include "victim.h"

#include <sys/wait.h>

enum { LEN = 64 << 20 };

int main(int argc, char **argv)
{
	int status;
	pid_t pid;
	char *at;

	if (argc > 2) {
		victim_prefix = argv[1];
		victim_pass();
	}
	victim_begin(argc, argv);
	at = victim_map(LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	victim_fill(at, LEN, 1);

	victim_ready();

	pid = fork();
	require(pid >= 0, "fork");
	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	require(waitpid(pid, &status, 0) == pid && !status, "child, status 0x%x", status);
	execl("/proc/self/exe", argv[0], victim_prefix, "again", NULL);
	victim_fail("exec");
}
