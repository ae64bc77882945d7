// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include "kinds/files/regular.h"
#include "util/log.h"

static const char deleted_mark[] = " (deleted)";

const char *path_deleted_mark(const char *link)
{
	size_t len = strlen(link), mark = sizeof(deleted_mark) - 1;

	if (len <= mark || strcmp(link + len - mark, deleted_mark))
		return NULL;
	return link + len - mark;
}

static bool leads_to(const char *path, const struct stat *st)
{
	struct stat found;

	return !lstat(path, &found) && found.st_dev == st->st_dev && found.st_ino == st->st_ino &&
	       (found.st_mode & S_IFMT) == (st->st_mode & S_IFMT);
}

static bool is_on_proc(const struct fd_probe *probe)
{
	struct statfs fs;

	return !fstatfs(probe->fd, &fs) && fs.f_type == PROC_SUPER_MAGIC;
}

/*
 * " (deleted)" may also be the end of a true name, and without it the path may lead to another
 * file by now (replaced, renamed over, covered by a mount): only the inode tells.
 */
int path_check(const struct fd_probe *probe, char **name, enum path_state *state)
{
	const char *mark = path_deleted_mark(probe->link);
	bool is_whole = leads_to(probe->link, &probe->st);
	size_t len = mark && !is_whole ? (size_t)(mark - probe->link) : strlen(probe->link);

	*name = strndup(probe->link, len);
	if (!*name)
		return log_ret(-ENOMEM, "task %d: fd %d", probe->task->pid, probe->number);
	if (is_whole || (mark && probe->st.st_nlink && leads_to(*name, &probe->st)))
		*state = PATH_RIGHT;
	else if (regular_proc_pid(*name) && is_on_proc(probe))
		*state = PATH_DEAD_PROC;
	else
		*state = probe->st.st_nlink ? PATH_ELSEWHERE : PATH_NO_NAME;
	return 0;
}

int regular_open_flags(uint32_t image_flags, uint32_t mode)
{
	int flags = (int)image_flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC | O_ASYNC);

	/* The name is gone or its own by now: O_TMPFILE (which contains O_DIRECTORY) made it. */
	if ((flags & O_TMPFILE) == O_TMPFILE)
		flags &= ~O_TMPFILE;
	if (S_ISLNK(mode))
		flags |= O_PATH | O_NOFOLLOW;
	return flags | O_CLOEXEC | O_NOCTTY;
}

pid_t regular_proc_pid(const char *name)
{
	static const char proc[] = "/proc/";
	char *end;
	long pid;

	if (strncmp(name, proc, sizeof(proc) - 1))
		return 0;
	name += sizeof(proc) - 1;
	if (*name < '1' || *name > '9')
		return 0;
	errno = 0;
	pid = strtol(name, &end, 10);
	return errno || pid > INT_MAX || (*end && *end != '/') ? 0 : (pid_t)pid;
}
