// SPDX-License-Identifier: GPL-2.0
/* Connections to the lazy-pages daemon, one per task, made before the tree is forked. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lazy/protocol.h"
#include "restore/restore_task.h"
#include "util/log.h"
#include "util/scope.h"

/* The work directory is the current one. */
static int connect_once(int *out)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = LAZY_SOCKET_NAME };
	scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	*out = take_fd(&fd);
	return 0;
}

int lazy_connect(struct restore *restore)
{
	struct task *task;

	tree_for_each (task, &restore->tree) {
		int ret;

		if (task->state == TASK_DEAD)
			continue;
		ret = connect_once(&task->restore->lazy_socket);
		if (ret)
			return log_ret(ret, "task %d: connect to the lazy-pages daemon at %s",
				       task->pid, LAZY_SOCKET_NAME);
	}
	return 0;
}
