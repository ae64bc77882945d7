// SPDX-License-Identifier: GPL-2.0
/*
 * The dump as an ordered table of phases. Up to "ask" the tree is only stopped
 * and looked at, and every refusal is made; "ask" runs a few system calls in
 * each task and leaves it as it was. So whoever kills us at any other moment
 * finds the tree running as before: the kernel lets seized tasks go with us.
 */
#include "dump/dump.h"

#include <compel.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dump/lazy_serve.h"
#include "dump/phases.h"
#include "options/stage.h"
#include "kinds/kind.h"
#include "mem/mem.h"
#include "task/task_dump.h"
#include "tree/collect.h"
#include "transport/push.h"
#include "transport/token.h"
#include "tree/compel_log.h"
#include "tree/freezer.h"
#include "util/clock.h"
#include "util/log.h"

/* ---- signals ------------------------------------------------------------ */

/* All a handler can reach. */
static volatile sig_atomic_t stop_signal;
static volatile pid_t worker_pid; /* in the parent of the worker */

static void note_signal(int sig)
{
	int saved = errno;

	stop_signal = sig;
	if (worker_pid)
		kill(worker_pid, sig == SIGUSR1 ? SIGUSR1 : SIGTERM);
	errno = saved;
}

/* SIGUSR1: the destination runs nothing, whatever it was given; the tree runs on. */
static const int watched_signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };
enum { WATCHED = sizeof(watched_signals) / sizeof(watched_signals[0]) };

static void watch_signals(struct sigaction old[WATCHED])
{
	const struct sigaction action = { .sa_handler = note_signal };

	stop_signal = 0;
	for (size_t i = 0; i < WATCHED; i++)
		sigaction(watched_signals[i], &action, &old[i]);
}

static void unwatch_signals(const struct sigaction old[WATCHED])
{
	for (size_t i = 0; i < WATCHED; i++)
		sigaction(watched_signals[i], &old[i], NULL);
}

static int check_stopped(void)
{
	return stop_signal ? log_ret(-EINTR, "dump: stopped by signal %d", (int)stop_signal) : 0;
}

/* ---- phases ------------------------------------------------------------- */

/* Everything finish needs besides struct dump. */
struct run {
	struct dump dump;
	struct freezer freezer;
	uint64_t frozen_at;
};

static struct run *run_of(struct dump *dump)
{
	return (struct run *)((char *)dump - offsetof(struct run, dump));
}

static int for_each_live(struct dump *dump, int (*fn)(struct dump *dump, struct task *task))
{
	struct task *task;

	tree_for_each (task, &dump->tree) {
		int ret = check_stopped();

		if (!ret && task->state != TASK_DEAD)
			ret = fn(dump, task);
		if (ret)
			return ret;
	}
	return 0;
}

static int phase_open(struct dump *dump)
{
	const struct options *opts = dump->opts;
	int dirfd = -1, ret;

	if (opts->images_dir_fd >= 0) {
		dirfd = fcntl(opts->images_dir_fd, F_DUPFD_CLOEXEC, 3);
		if (dirfd < 0)
			return log_errno("images directory: descriptor %d", opts->images_dir_fd);
	}
	ret = image_dir_open(dirfd >= 0 ? NULL : opts->images_dir, dirfd, &dump->images);
	if (!ret)
		ret = mem_dump_begin(dump);
	return ret ? ret : seccomp_table_new(&dump->seccomp);
}

static int phase_page_server(struct dump *dump)
{
	const struct options *opts = dump->opts;

	if (opts->page_server && opts->lazy_pages) {
		log_err("dump: --page-server sends pages away, --lazy-pages keeps them: give one");
		return -EINVAL;
	}
	if (opts->page_server)
		return push_connect(opts, &dump->push);
	return opts->lazy_pages ? lazy_serve_begin(dump, &stop_signal) : 0;
}

static void undo_freezer(void *arg, bool failed)
{
	freezer_restore(&((struct run *)arg)->freezer);
}

static void undo_freeze(void *arg, bool failed)
{
	struct dump *dump = arg;
	bool is_elsewhere = failed && stop_signal != SIGUSR1 && lazy_serve_has_delivered(dump);

	if (is_elsewhere)
		log_err("dump: the tree is left stopped: part of its pages went to a destination, "
			"where it may run; SIGCONT lets it go on here, SIGKILL ends it");
	lazy_serve_end(dump);
	tree_release(&dump->tree, is_elsewhere ? FINAL_STOPPED
				  : failed     ? FINAL_RUNNING
					       : dump->opts->final_state);
}

static int phase_freeze(struct dump *dump)
{
	struct run *run = run_of(dump);
	const struct collect_params params = {
		.root = dump->opts->tree_pid,
		.freeze_cgroup = dump->opts->freeze_cgroup,
		.freezer = &run->freezer,
		.timeout = dump->opts->timeout,
		.stopped = &stop_signal,
	};
	uint64_t start = clock_us();
	int ret = undo_push(&dump->undo, undo_freezer, run);

	if (!ret)
		ret = undo_push(&dump->undo, undo_freeze, dump);
	dump->frozen = undo_mark(&dump->undo);
	if (!ret)
		ret = tree_collect(&dump->tree, &params);
	run->frozen_at = clock_us();
	dump->counters.freezing_us = run->frozen_at - start;
	return ret;
}

static int phase_look(struct dump *dump)
{
	struct task *task;

	tree_for_each (task, &dump->tree) {
		int ret = check_stopped();

		if (!ret)
			ret = task_dump_outside(dump, task, dump->seccomp);
		if (ret)
			return ret;
		log_info("task %d: %zu threads, state %d, %s", task->pid, task->nr_threads,
			 task->state, task_facts(task)->stat.comm);
	}
	return 0;
}

static int dump_descriptors(struct dump *dump, struct task *task)
{
	const struct task_facts *facts = task_facts(task);
	int ret = 0;

	if (!facts->shares_files)
		ret = files_dump_task(dump, task, facts->ids.files);
	return ret ? ret : fs_dump_task(dump, task);
}

/* What can be refused from outside has been: only now an earlier set in the directory has to go. */
static int phase_clear(struct dump *dump)
{
	struct token token;
	int ret = image_dir_clear(dump->images);

	if (ret)
		return ret;
	if (dump->lazy)
		return lazy_serve_mark(dump);
	/* A page server of the set will know its clients by that. */
	return dump->push ? 0 : token_create(dump->images, &token);
}

static int phase_files(struct dump *dump)
{
	int ret = files_dump_begin(dump);

	return ret ? ret : for_each_live(dump, dump_descriptors);
}

static int phase_check_memory(struct dump *dump)
{
	return for_each_live(dump, mem_dump_check);
}

static int ask_task(struct dump *dump, struct task *task)
{
	return task_dump_ask(task);
}

static int phase_ask(struct dump *dump)
{
	return for_each_live(dump, ask_task);
}

static int dump_task_images(struct dump *dump, struct task *task)
{
	int ret = ids_dump_task(dump, task);

	return ret ? ret : ext_dump_task(dump, task);
}

static int phase_tasks(struct dump *dump)
{
	struct task *task;
	int ret = for_each_live(dump, mem_dump_scan);

	if (!ret)
		ret = for_each_live(dump, dump_task_images);

	tree_for_each (task, &dump->tree) {
		if (!ret)
			ret = core_dump_task(dump, task);
	}
	return ret;
}

static int dump_memory(struct dump *dump, struct task *task)
{
	return mem_dump_task(dump, task, &task_facts(task)->mem);
}

static int phase_memory(struct dump *dump)
{
	int ret = for_each_live(dump, dump_memory);

	return ret ? ret : mem_dump_end(dump);
}

static int phase_end_files(struct dump *dump)
{
	int ret = files_dump_end(dump);

	return ret ? ret : locks_dump_end(dump);
}

static int phase_seccomp(struct dump *dump)
{
	return seccomp_dump_image(dump->seccomp, dump->images);
}

static int phase_pages_sent(struct dump *dump)
{
	return dump->push ? push_finish(dump->push) : 0;
}

static int phase_lazy_pages(struct dump *dump)
{
	return dump->lazy ? lazy_serve_run(dump) : 0;
}

static int phase_stats(struct dump *dump)
{
	dump->counters.frozen_us = clock_us() - run_of(dump)->frozen_at;
	return stats_dump(dump);
}

static int phase_pre_dump(struct dump *dump)
{
	return stage_reach(dump->opts, "pre-dump", dump->opts->tree_pid);
}

/* All images are there and the tree is frozen: scripts may copy them. A set that was refused is
 * none. */
static int phase_post_dump(struct dump *dump)
{
	int ret = stage_reach(dump->opts, "post-dump", dump->opts->tree_pid);

	if (ret)
		unlinkat(image_dir_fd(dump->images), "inventory.img", 0);
	return ret;
}

static const struct phase {
	const char *name;
	int (*run)(struct dump *dump);
} phases[] = {
	{ "open", phase_open },
	{ "page server", phase_page_server },
	{ "pre-dump scripts", phase_pre_dump },
	{ "freeze", phase_freeze },
	{ "look", phase_look },
	{ "check namespaces", namespaces_check },
	{ "check sessions", sessions_check },
	{ "ids", ids_collect },
	{ "check memory", phase_check_memory },
	{ "clear", phase_clear },
	{ "files", phase_files },
	{ "ask", phase_ask },
	{ "tasks", phase_tasks },
	{ "memory", phase_memory },
	{ "end files", phase_end_files },
	{ "tree", pstree_dump },
	{ "seccomp", phase_seccomp },
	{ "clocks", clocks_dump },
	{ "pages", phase_pages_sent },
	{ "statistics", phase_stats },
	{ "inventory", inventory_dump },
	{ "lazy pages", phase_lazy_pages },
	{ "post-dump scripts", phase_post_dump },
};

static int run_phases(struct dump *dump)
{
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		int ret = check_stopped();

		log_debug("dump: %s", phases[i].name);
		if (!ret)
			ret = phases[i].run(dump);
		if (ret)
			return ret;
	}
	return 0;
}

/* For success and failure alike. */
static void finish(struct dump *dump, bool failed)
{
	struct task *task;

	undo_run(&dump->undo, failed);
	lazy_serve_end(dump);
	push_free(dump->push);
	tree_for_each (task, &dump->tree)
		task_dump_free(task);
	tree_collect_free(&dump->tree);
	tree_fini(&dump->tree);
	seccomp_table_free(dump->seccomp);
	image_abandon(&dump->locks_img);
	if (dump->images)
		image_dir_close(dump->images);
}

static int dump_in_worker(const struct options *opts)
{
	struct run run = { .dump = { .opts = opts, .next_pages_id = 1 }, .freezer = { .fd = -1 } };
	int ret;

	tree_init(&run.dump.tree);
	compel_log_begin();
	ret = run_phases(&run.dump);
	finish(&run.dump, ret != 0);
	return ret;
}

/* ---- the worker --------------------------------------------------------- */

/*
 * A tracer that dies between two steps of an injection leaves the thread with registers that are
 * not its own. So the tracer is not the process that people see and kill -9: it is a child, which
 * is sent SIGTERM when its parent dies, and then ends the dump as for any SIGTERM.
 */
static void __attribute__((noreturn)) worker(const struct options *opts, pid_t parent)
{
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent) /* it died before that */
		stop_signal = SIGTERM;
	ret = dump_in_worker(opts);
	fflush(stdout);
	_exit(-ret & 0xff);
}

static int wait_worker(pid_t pid)
{
	int status;

	worker_pid = pid;
	if (stop_signal) /* it came before we knew whom to tell */
		kill(pid, stop_signal == SIGUSR1 ? SIGUSR1 : SIGTERM);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return log_errno("dump: wait for process %d", pid);
	}
	worker_pid = 0;
	if (WIFSIGNALED(status))
		return log_ret(-EINTR, "dump: process %d was killed by signal %d", pid,
			       WTERMSIG(status));
	return -WEXITSTATUS(status);
}

int dump_run(const struct options *opts)
{
	struct sigaction old[WATCHED];
	pid_t self = getpid(), pid;
	int ret;

	watch_signals(old);
	fflush(NULL); /* or both would write what is buffered */
	pid = fork();
	if (pid == 0)
		worker(opts, self);
	ret = pid < 0 ? log_errno("dump: fork") : wait_worker(pid);
	unwatch_signals(old);
	if (ret)
		log_err("Dumping FAILED."); /* what people grep for */
	else
		log_info("Dumping finished successfully");
	return ret;
}
