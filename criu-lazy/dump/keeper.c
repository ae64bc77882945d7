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
#include <time.h>

#include "blob/keeper_args.h"
#include "dump/dump.h"
#include "keeper-blob.h"
#include "task/facts.h"
#include "util/log.h"
#include "util/scope.h"

enum { STEP_NS = 20000, STEPS = 100000 };

bool keeper_is_wanted(const struct task *root)
{
	struct stat ours, theirs;

	return !stat("/proc/self/ns/pid", &ours) &&
	       !fstatat(root->dump->proc_fd, "ns/pid", &theirs, 0) && ours.st_ino == theirs.st_ino;
}

/* waitpid(2) takes no time limit. -ESRCH: it has ended, *status says how. */
static int wait_stop(pid_t pid, int *status)
{
	const struct timespec step = { .tv_nsec = STEP_NS };

	for (int i = 0; i < STEPS; i++) {
		pid_t ret = waitpid(pid, status, __WALL | WNOHANG);

		if (ret == pid)
			return WIFSTOPPED(*status) ? 0 : -ESRCH;
		if (ret < 0 && errno != EINTR)
			return -errno;
		nanosleep(&step, NULL);
	}
	return -ETIMEDOUT;
}

/* Killed by the kernel if we end first. Where seccomp cannot be suspended, it never was. */
static int tie_to_us(pid_t pid)
{
	const unsigned long options = PTRACE_O_EXITKILL;

	if (!ptrace(PTRACE_SETOPTIONS, pid, NULL, options | PTRACE_O_SUSPEND_SECCOMP) ||
	    !ptrace(PTRACE_SETOPTIONS, pid, NULL, options))
		return 0;
	return -errno;
}

/* From the stop it is born in to the one it stays in. One that has ended is reaped: *pid is 0. */
static int bring_up(pid_t *pid)
{
	int status, ret = wait_stop(*pid, &status);

	if (!ret)
		ret = tie_to_us(*pid);
	while (!ret && (WSTOPSIG(status) != KEEPER_SIGNAL || status >> 16))
		ret = ptrace(PTRACE_CONT, *pid, NULL, NULL) && errno != ESRCH
			      ? -errno
			      : wait_stop(*pid, &status);
	if (ret == -ESRCH) {
		*pid = 0;
		if (WIFEXITED(status))
			ret = -WEXITSTATUS(status);
	}
	return ret;
}

static int make(struct compel_inject *inject, pid_t *out)
{
	const struct compel_blob blob = { keeper_blob, sizeof(keeper_blob), keeper_blob_entry };
	scoped_free struct keeper_args *args = calloc(1, sizeof(*args));
	int64_t pid;
	int ret = args ? compel_run(inject, &blob, args, sizeof(*args), &pid) : -ENOMEM;

	if (ret || pid < 0)
		return ret ? ret : (int)pid;
	*out = (pid_t)pid;
	return bring_up(out);
}

int keeper_make(struct task *task, pid_t *out)
{
	struct compel_inject *inject;
	int ret = compel_inject_begin(task->host_pid, task->threads[0].host_tid, &inject), end;

	*out = 0;
	if (!ret) {
		ret = make(inject, out);
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
