// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel tells of a descriptor: link and fdinfo from /proc, its status from a duplicate.
 * Descriptors of frozen tasks and our own are read alike.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kinds/fdinfo_text.h"
#include "kinds/files_registry.h"
#include "util/log.h"
#include "util/scope.h"

enum { LINK_BYTES = PATH_MAX + 64 };

static int read_link(int dir, const char *path, char **out)
{
	char buf[LINK_BYTES];
	ssize_t len = readlinkat(dir, path, buf, sizeof(buf) - 1);

	if (len < 0)
		return -errno;
	buf[len] = '\0';
	*out = strdup(buf);
	return *out ? 0 : -ENOMEM;
}

/* proc: the process's folder in /proc, with a slash at its end; relative to dir. */
static int read_texts(struct held_probe *held, int dir, const char *proc, int number)
{
	struct fd_probe *probe = &held->probe;
	struct fdinfo_common common;
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "%sfd/%d", proc, number);
	ret = read_link(dir, path, &held->link);
	snprintf(path, sizeof(path), "%sfdinfo/%d", proc, number);
	ret = ret ?: text_read_at(dir, path, &held->fdinfo);
	ret = ret ?: fdinfo_parse_common(held->fdinfo.data, &common);
	if (ret)
		return ret;
	probe->link = held->link;
	probe->fdinfo = held->fdinfo.data;
	probe->pos = common.pos;
	probe->flags = common.flags;
	probe->mnt_id = common.mnt_id;
	probe->cloexec = common.cloexec;
	return 0;
}

int held_probe_read(struct held_probe *held)
{
	struct fd_probe *probe = &held->probe;
	int ret = read_texts(held, probe->task->dump->proc_fd, "", probe->number);

	if (ret)
		return log_ret(ret, "task %d: fd %d (%s): read link and fdinfo", probe->task->pid,
			       probe->number, held->link ? held->link : "?");
	ret = held_probe_duplicate(held);
	if (ret)
		return ret;
	if (fstat(probe->fd, &probe->st))
		return log_errno("task %d: fd %d (%s): fstat", probe->task->pid, probe->number,
				 held->link);
	return 0;
}

int held_probe_read_own(struct held_probe *held)
{
	if (fstat(held->probe.fd, &held->probe.st))
		return -errno;
	return read_texts(held, AT_FDCWD, "/proc/self/", held->probe.fd);
}

int held_probe_duplicate(struct held_probe *held)
{
	struct fd_probe *probe = &held->probe;

	if (probe->fd >= 0)
		return 0;
	probe->fd = syscall(SYS_pidfd_getfd, probe->task->dump->pidfd, probe->number, 0);
	if (probe->fd < 0)
		return log_errno("task %d: fd %d (%s): pidfd_getfd", probe->task->pid,
				 probe->number, held->link);
	return 0;
}

void held_probe_fini(struct held_probe *held)
{
	if (held->probe.fd >= 0)
		close(held->probe.fd);
	held->probe.fd = -1;
	free(held->link);
	held->link = NULL;
	text_free(&held->fdinfo);
}
