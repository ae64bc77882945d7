// SPDX-License-Identifier: GPL-2.0
#include "dump/keeper.h"

#include <compel.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "blob/keeper_args.h"
#include "dump/dump.h"
#include "keeper-blob.h"
#include "util/log.h"
#include "util/scope.h"

bool keeper_is_wanted(const struct task *root)
{
	struct stat ours, theirs;

	return !stat("/proc/self/ns/pid", &ours) &&
	       !fstatat(root->dump->proc_fd, "ns/pid", &theirs, 0) && ours.st_ino == theirs.st_ino;
}

/* Stopped for good, and killed by the kernel if we end first: its code is about to be unmapped. */
static int hold(pid_t pid)
{
	struct compel_stop stop;
	int ret = compel_seize(pid, &stop);

	if (!ret && ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL))
		ret = -errno;
	return ret;
}

static int make(struct compel_inject *inject, struct keeper_args *args, pid_t *out)
{
	const struct compel_blob blob = { keeper_blob, sizeof(keeper_blob), keeper_blob_entry };
	int64_t pid;
	int ret = compel_run(inject, &blob, args, sizeof(*args), &pid);

	if (ret || pid < 0)
		return ret ? ret : (int)pid;
	*out = (pid_t)pid;
	ret = hold(*out);
	if (!ret)
		ret = args->is_ready ? (int)args->error : -ETIMEDOUT;
	return ret;
}

int keeper_make(struct task *task, pid_t *out)
{
	scoped_free struct keeper_args *args = calloc(1, sizeof(*args));
	struct compel_inject *inject;
	int ret = args ? 0 : -ENOMEM, end;

	*out = 0;
	if (!ret)
		ret = compel_inject_begin(task->host_pid, task->threads[0].host_tid, &inject);
	if (!ret) {
		ret = make(inject, args, out);
		if (ret && *out)
			keeper_end(*out);
		end = compel_inject_end(&inject);
		ret = ret ? ret : end;
	}
	if (ret)
		log_warn("task %d: no keeper for its memory (errno %d): it stays as it is, stopped",
			 task->host_pid, -ret);
	else
		log_info("task %d: process %d keeps its memory", task->host_pid, *out);
	return ret;
}

void keeper_end(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}
