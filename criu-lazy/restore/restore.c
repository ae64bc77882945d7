// SPDX-License-Identifier: GPL-2.0
/* The restore command: its phases in order, and the one place where it is finished or taken back.
 */
#include "restore/restore.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kinds/kind.h"
#include "mem/mem.h"
#include "restore/exec_cmd.h"
#include "restore/own_maps.h"
#include "options/stage.h"
#include "restore/restore_task.h"
#include "restore/stats.h"
#include "task/task_restore.h"
#include "tree/compel_log.h"
#include "lazy/control.h"
#include "util/log.h"
#include "util/scope.h"

static void count_alive(struct restore *restore, uint32_t *threads)
{
	const struct task *task;

	*threads = 0;
	restore->nr_alive = 0;
	tree_for_each (task, &restore->tree) {
		if (task->state == TASK_DEAD)
			continue;
		restore->nr_alive++;
		*threads += task->nr_threads;
	}
}

static int write_pidfile(const struct restore *restore)
{
	const char *path = restore->opts->pidfile;
	scoped_fd int fd = -1;

	if (!path)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || dprintf(fd, "%d", restore->tree.root->host_pid) < 0)
		return log_errno("pidfile %s", path);
	return 0;
}

static int reach(const struct restore *restore, const char *stage)
{
	return stage_reach(restore->opts, stage, restore->tree.root->host_pid);
}

/* From the first fork to running tasks. */
static int run_stages(struct restore *restore, struct restore_times *times)
{
	uint32_t threads;
	int ret;

	count_alive(restore, &threads);
	ret = stage_reach(restore->opts, "pre-restore", 0);
	if (!ret)
		ret = shared_create(restore);
	if (!ret && restore->opts->lazy_pages)
		ret = lazy_connect(restore);
	if (!ret)
		ret = fork_root(restore);
	times_mark(&times->forked);
	if (!ret)
		ret = reach(restore, "setup-namespaces");
	if (!ret)
		ret = reach(restore, "post-setup-namespaces");
	if (!ret)
		ret = finish_open_gate(restore);
	if (!ret)
		ret = shared_watch(restore, &restore->shared->blob.parked, threads);
	if (!ret)
		ret = finish_seize(restore);
	if (!ret)
		ret = write_pidfile(restore);
	if (!ret)
		ret = reach(restore, "post-restore");
	if (!ret)
		ret = reach(restore, "pre-resume");
	/* Removes names that a second try would need, so as late as can be. */
	if (!ret)
		ret = files_finish(restore, false);
	if (!ret)
		ret = finish_release(restore);
	if (!ret && reach(restore, "post-resume"))
		log_warn("post-resume: failed, but the tree runs already");
	times_mark(&times->done);
	return ret;
}

static int restore_all(struct restore *restore, struct own_vdso *vdso)
{
	struct restore_times times = { 0 };
	int ret;

	times_mark(&times.start);
	compel_log_begin();
	ret = own_vdso_find(vdso);
	restore->vdso = vdso;
	if (!ret)
		ret = restore_plan(restore);
	if (ret || restore->opts->check_only)
		return ret;
	ret = run_stages(restore, &times);
	if (ret)
		return ret;
	return stats_write(restore, &times);
}

/* Signals wait until the tree stands or is gone: half a restore is nothing to leave behind. */
static void hold_signals(sigset_t *saved)
{
	const uint64_t all = ~0ull;

	/* Not through sigprocmask(3), which leaves 32 and 33 unblocked: the C library's own, and
	 * the signals of its timers. One that comes while a thread is made would end the task. */
	sigprocmask(SIG_SETMASK, NULL, saved);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
}

static int wait_root(const struct restore *restore)
{
	int status;

	if (restore->opts->restore_detached || restore->opts->restore_sibling)
		return 0;
	while (waitpid(restore->tree.root->host_pid, &status, __WALL) < 0) {
		if (errno != EINTR)
			return log_errno("task %d: wait for its end", restore->tree.root->pid);
	}
	return 0;
}

static int take_back(struct restore *restore, int ret)
{
	fork_kill_all(restore);
	lazy_disconnect(restore);
	undo_run(&restore->undo, true);
	return ret;
}

int restore_run(const struct options *opts, pid_t *root_pid)
{
	struct restore restore = { .opts = opts };
	struct own_vdso vdso;
	scoped_free char *program = NULL;
	int ret = exec_cmd_find(opts, &program);

	if (ret)
		return ret;
	tree_init(&restore.tree);
	ret = image_dir_open(opts->images_dir_fd < 0 ? opts->images_dir : NULL,
			     opts->images_dir_fd < 0 ? -1 : dup(opts->images_dir_fd),
			     &restore.images);
	if (ret)
		return ret;
	hold_signals(&restore.saved_mask);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	ret = restore_all(&restore, &vdso);
	if (!ret && opts->lazy_pages && !opts->check_only)
		control_say_restored();
	if (ret)
		take_back(&restore, ret);
	else
		undo_run(&restore.undo, false);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	sigprocmask(SIG_SETMASK, &restore.saved_mask, NULL);
	if (!ret && root_pid)
		*root_pid = restore.tree.root->host_pid;
	if (!ret && !opts->check_only) {
		log_info("Restore finished successfully. Tasks resumed.");
		ret = program ? exec_cmd_run(opts, program) : wait_root(&restore);
	}
	if (ret)
		log_err("Restoring FAILED.");
	restore_plan_free(&restore);
	task_restore_free(&restore);
	if (restore.shared)
		munmap(restore.shared, restore.shared->size);
	image_dir_close(restore.images);
	return ret;
}
