// SPDX-License-Identifier: GPL-2.0
#include "dump/keeper.h"

#include <compel.h>
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "blob/keeper_args.h"
#include "dump/dump.h"
#include "keeper-blob.h"
#include "task/facts.h"
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

/* In every thread; 0 is "nowhere". */
static int set_exit_pointers(struct task *task, bool is_silent)
{
	struct compel_inject *inject;
	int ret = compel_inject_begin(task->host_pid, task->threads[0].host_tid, &inject), end;

	if (ret)
		return ret;
	for (size_t i = 0; i < task->nr_threads && !ret; i++) {
		const struct thread_facts *facts = thread_facts(&task->threads[i]);
		struct compel_call calls[] = {
			{ SYS_set_tid_address, { is_silent ? 0 : facts->clear_tid }, 0 },
			{ SYS_set_robust_list,
			  { is_silent ? 0 : facts->robust_list, sizeof(struct robust_list_head) },
			  0 },
		};

		ret = compel_batch_in(inject, task->threads[i].host_tid, calls, 2);
		if (!ret && calls[1].ret)
			ret = (int)calls[1].ret;
	}
	end = compel_inject_end(&inject);
	return ret ? ret : end;
}

int keeper_silence_exit(struct task *task)
{
	int ret = set_exit_pointers(task, true);

	if (ret)
		log_warn("task %d: its end would write into its memory (errno %d): it stays as it "
			 "is, "
			 "stopped",
			 task->host_pid, -ret);
	return ret;
}

void keeper_restore_exit(struct task *task)
{
	int ret = set_exit_pointers(task, false);

	if (ret)
		log_err("task %d: clear_child_tid and robust lists are lost (errno %d): joining "
			"its "
			"threads may hang",
			task->host_pid, -ret);
}

void keeper_end(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}
