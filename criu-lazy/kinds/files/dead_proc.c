// SPDX-License-Identifier: GPL-2.0
/*
 * Files of /proc that belong to a process which is gone. The dump names the pid; the restore lets a
 * process of that pid live for as long as the open takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kinds/files/regular.h"
#include "util/log.h"
#include "util/scope.h"

/* One entry per pid: it stands for all names below /proc/PID. */
int remap_dump_dead_proc(struct dump *dump, uint32_t id, pid_t pid)
{
	static const char owner;
	RemapFilePathEntry remap = REMAP_FILE_PATH_ENTRY__INIT;
	uint32_t *is_done = files_dump_slot(dump, &owner, (uint64_t)pid, 0);
	struct image *img;
	int ret;

	if (!is_done)
		return -ENOMEM;
	if (*is_done)
		return 0;
	*is_done = 1;
	remap.orig_id = id;
	remap.remap_id = (uint32_t)pid;
	remap.has_remap_type = true;
	remap.remap_type = REMAP_TYPE__PROCFS;
	ret = files_dump_image(dump, IMG_REMAP_FPATH, &img);
	return ret ? ret : image_write(img, &remap.base);
}

/* Only system calls: this may be a child of a process with threads. */
__attribute__((noreturn)) static void live(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		syscall(SYS_pause);
}

static int begin_life(pid_t pid, const char *name, pid_t *child)
{
	pid_t tids[1] = { pid };
	struct clone_args args = {
		.set_tid = (uint64_t)(uintptr_t)tids,
		.set_tid_size = 1,
	};
	long ret = syscall(SYS_clone3, &args, sizeof(args));

	if (ret < 0)
		return log_errno("%s: process %d, which was gone, has to live for a moment", name,
				 pid);
	if (!ret)
		live();
	*child = (pid_t)ret;
	return 0;
}

static void end_life(pid_t child)
{
	int saved = errno;

	kill(child, SIGKILL);
	while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
		;
	errno = saved;
}

int dead_proc_open(pid_t pid, const char *name, int flags, int *out)
{
	pid_t child;
	int fd, ret = begin_life(pid, name, &child);

	if (ret)
		return ret;
	fd = open(name, flags);
	end_life(child);
	if (fd < 0)
		return log_errno("open %s with flags 0%o", name, flags);
	*out = fd;
	return 0;
}

int dead_proc_chdir(pid_t pid, const char *name)
{
	pid_t child;
	int failed, ret = begin_life(pid, name, &child);

	if (ret)
		return ret;
	failed = chdir(name);
	end_life(child);
	return failed ? log_errno("chdir %s", name) : 0;
}
