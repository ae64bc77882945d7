// SPDX-License-Identifier: GPL-2.0
/* A descriptor of a namespace that we are not in is refused by its name. */
/* victim: refused="is another namespace than ours" */
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "victim.h"

int main(int argc, char **argv)
{
	struct stat st, own;
	char path[64];
	pid_t pid;
	int fd;

	victim_begin(argc, argv);
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWUTS))
			_exit(1);
		pause();
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/uts", pid);
	stat("/proc/self/ns/uts", &own);
	for (int i = 0; i < 500 && (stat(path, &st) || st.st_ino == own.st_ino); i++)
		victim_sleep_ms(10);
	if (st.st_ino == own.st_ino)
		victim_skip("no namespace can be made");
	fd = open(path, O_RDONLY);
	require(fd >= 0, "open %s", path);
	kill(pid, 9);
	require(waitpid(pid, NULL, 0) == pid, "child");
	victim_ready();
	require(!fstat(fd, &st) && st.st_ino != own.st_ino, "it is still the same");
	victim_pass();
}
