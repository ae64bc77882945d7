// SPDX-License-Identifier: GPL-2.0
/* A connection with the task that needs no name in any namespace. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

static int socket_fetch(struct compel_inject *inject, int remote, int *fd)
{
	int pidfd = syscall(SYS_pidfd_open, inject->pid, 0);
	int ret = 0;

	if (pidfd < 0)
		return errno == ESRCH ? -ESRCH
				      : compel_fail(-errno, "task %d: open a pidfd", inject->pid);
	*fd = syscall(SYS_pidfd_getfd, pidfd, remote, 0); /* close-on-exec */
	if (*fd < 0)
		ret = compel_fail(-errno, "task %d: fetch its descriptor %d", inject->pid, remote);
	close(pidfd);
	return ret;
}

int compel_socket(struct compel_inject *inject, int *fd, int *remote_fd)
{
	int pair[2], *fds, ret;
	uint64_t scratch;
	int64_t result;
	size_t size;

	fds = realloc(inject->remote_fds, (inject->nr_remote_fds + 1) * sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	inject->remote_fds = fds;

	ret = compel_scratch(inject, &scratch, &size);
	if (!ret)
		ret = compel_syscall(
			inject, SYS_socketpair,
			(uint64_t[6]){ AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, scratch }, &result);
	if (!ret && result < 0)
		ret = compel_fail(result, "task %d: make a socket pair in it", inject->tid);
	if (!ret)
		ret = compel_read(inject, scratch, pair, sizeof(pair));
	if (ret)
		return ret;

	fds[inject->nr_remote_fds++] = pair[1];
	ret = socket_fetch(inject, pair[0], fd);
	if (compel_syscall(inject, SYS_close, (uint64_t[6]){ pair[0] }, &result) == -ESRCH)
		ret = -ESRCH;
	if (ret)
		return ret;
	*remote_fd = pair[1];
	return 0;
}
