// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"
#include "util/fds.h"

static int is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* In a child: standard error is needed to complain. */
static int only_kept_stay(void)
{
	int keep[] = { 22, -1, 2, 20, 22, 1 };

	for (int fd = 20; fd < 25; fd++) {
		if (dup2(2, fd) != fd)
			return 1;
	}
	if (fds_close_others(keep, sizeof(keep) / sizeof(keep[0])))
		return 2;
	for (int fd = 0; fd < 200; fd++) {
		if (is_open(fd) != (fd == 1 || fd == 2 || fd == 20 || fd == 22))
			return 3;
	}
	return 0;
}

int main(void)
{
	int status;
	pid_t pid = fork();

	check(pid >= 0);
	if (!pid)
		_exit(only_kept_stay());
	check_eq(waitpid(pid, &status, 0), pid);
	check_eq(status, 0);
	return 0;
}
