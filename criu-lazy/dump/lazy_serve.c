// SPDX-License-Identifier: GPL-2.0
#include "dump/lazy_serve.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dump/dump.h"
#include "dump/keeper.h"
#include "options/stage.h"
#include "transport/provider.h"
#include "transport/server.h"
#include "transport/token.h"
#include "transport/wire.h"
#include "tree/collect.h"
#include "util/log.h"
#include "util/scope.h"

/* For parents of the tree's root and for init, which reap as they like. */
enum { REAPED_MS = 500 };

struct left {
	struct task *task;
	struct provider_object *object;
	pid_t keeper; /* 0: none */
};

struct lazy_serve {
	struct provider *pages;
	struct server *server;
	struct token token;
	struct left *tasks; /* whose pages stay, the one whose pages come now last */
	size_t nr_tasks;
	bool is_kept; /* the tree has ended, keepers have its memory */
};

static int add_task(struct dump *dump, struct task *task)
{
	struct lazy_serve *lazy = dump->lazy;
	struct left *grown = realloc(lazy->tasks, (lazy->nr_tasks + 1) * sizeof(*grown));
	int mem_fd = openat(task->dump->proc_fd, "mem", O_RDONLY | O_CLOEXEC);

	if (grown)
		lazy->tasks = grown;
	if (mem_fd < 0)
		return log_errno("task %d: open mem", task->host_pid);
	if (!grown) {
		close(mem_fd);
		return -ENOMEM;
	}
	grown[lazy->nr_tasks++] = (struct left){ .task = task };
	return provider_add_task(lazy->pages, wire_object(WIRE_TASK, (uint64_t)task->pid),
				 task->host_pid, mem_fd, &grown[lazy->nr_tasks - 1].object);
}

int lazy_serve_leave(struct dump *dump, struct task *task, uint64_t start, uint64_t end)
{
	struct lazy_serve *lazy = dump->lazy;
	int ret = 0;

	if (!lazy->nr_tasks || lazy->tasks[lazy->nr_tasks - 1].task != task)
		ret = add_task(dump, task);
	if (!ret)
		ret = provider_add_range(lazy->tasks[lazy->nr_tasks - 1].object, start, end);
	if (ret)
		return log_ret(ret, "task %d: pages that stay", task->host_pid);
	dump->counters.pages_lazy += (end - start) / WIRE_PAGE;
	return 0;
}

/* ---- keepers ------------------------------------------------------------------- */

static void end_keepers(struct lazy_serve *lazy)
{
	for (size_t i = 0; i < lazy->nr_tasks; i++) {
		keeper_end(lazy->tasks[i].keeper);
		lazy->tasks[i].keeper = 0;
	}
}

/* All or none: each has its keeper and an open mem of it. */
static int make_keepers(struct lazy_serve *lazy, int *mem_fds)
{
	int ret = 0;

	for (size_t i = 0; i < lazy->nr_tasks && !ret; i++) {
		char path[32];

		ret = keeper_make(lazy->tasks[i].task, &lazy->tasks[i].keeper);
		snprintf(path, sizeof(path), "/proc/%d/mem", lazy->tasks[i].keeper);
		mem_fds[i] = ret ? -1 : open(path, O_RDONLY | O_CLOEXEC);
		if (!ret && mem_fds[i] < 0)
			ret = log_errno("open %s", path);
	}
	return ret;
}

/* All or none. */
static int silence_exits(struct lazy_serve *lazy)
{
	size_t done = 0;
	int ret = 0;

	while (done < lazy->nr_tasks && !ret)
		ret = keeper_silence_exit(lazy->tasks[done++].task);
	while (ret && done)
		keeper_restore_exit(lazy->tasks[--done].task);
	return ret;
}

/*
 * A destination is here, and it may be on this host: the tree makes room, and keepers have its
 * memory. Until now a failure would have let the tree go on.
 */
static void make_room(void *arg)
{
	struct dump *dump = arg;
	struct lazy_serve *lazy = dump->lazy;
	scoped_free int *mem_fds = calloc(lazy->nr_tasks + 1, sizeof(*mem_fds));
	int ret;

	if (dump->opts->final_state != FINAL_KILL || dump->opts->keep_tree ||
	    !keeper_is_wanted(dump->tree.root) || !mem_fds)
		return;
	for (size_t i = 0; i < lazy->nr_tasks; i++)
		mem_fds[i] = -1;
	ret = make_keepers(lazy, mem_fds);
	if (!ret)
		ret = silence_exits(lazy);
	for (size_t i = 0; i < lazy->nr_tasks; i++) {
		if (!ret)
			provider_move_task(lazy->tasks[i].object, lazy->tasks[i].keeper,
					   mem_fds[i]);
		else if (mem_fds[i] >= 0)
			close(mem_fds[i]);
	}
	if (ret) {
		end_keepers(lazy);
		return;
	}
	lazy->is_kept = true;
	tree_release(&dump->tree, FINAL_KILL);
	/* Whatever we had for a tree that goes on holds terminals and names of the tree's. */
	undo_run_above(&dump->undo, dump->frozen, false);
	tree_wait_reaped(&dump->tree, REAPED_MS);
}

/* ---- serving ------------------------------------------------------------------- */

int lazy_serve_begin(struct dump *dump, const volatile sig_atomic_t *stopped)
{
	struct lazy_serve *lazy = calloc(1, sizeof(*lazy));
	int ret;

	if (!lazy)
		return log_ret(-ENOMEM, "page server");
	dump->lazy = lazy;
	ret = provider_new(&lazy->pages);
	if (ret)
		return ret;
	struct server_params params = {
		.opts = dump->opts,
		.pages = lazy->pages,
		.token = &lazy->token,
		.ends_when_done = true,
		.first_client = make_room,
		.first_client_arg = dump,
		.stopped = stopped,
	};

	return server_new(&params, &lazy->server);
}

int lazy_serve_mark(struct dump *dump)
{
	return token_create(dump->images, &dump->lazy->token);
}

/* One zero byte, and nothing more, as criu's. */
static int say_ready(const struct options *opts)
{
	int ret = stage_reach(opts, "status-ready", opts->tree_pid);

	if (ret || opts->status_fd < 0)
		return ret;
	if (write(opts->status_fd, "", 1) != 1)
		return log_errno("status descriptor %d", opts->status_fd);
	close(opts->status_fd);
	return 0;
}

int lazy_serve_run(struct dump *dump)
{
	struct lazy_serve *lazy = dump->lazy;
	struct server_stats stats;
	int ret;

	provider_seal(lazy->pages);
	ret = say_ready(dump->opts);
	if (ret)
		return ret;
	log_info("page server: ready, %" PRIu64 " pages stay here", dump->counters.pages_lazy);
	ret = server_run(lazy->server);
	if (ret == -EINTR)
		log_err("dump: stopped while pages were still owed to the destination%s",
			lazy->is_kept ? "; the tree had ended already, and what was not fetched "
					"is lost"
				      : "");
	server_stats(lazy->server, &stats);
	log_info("page server: %" PRIu64 " clients, %" PRIu64 " pages on demand, %" PRIu64
		 " in bulk, %" PRIu64 " of zeros, %" PRIu64 " refused, %" PRIu64 " bytes",
		 stats.clients, stats.demand_pages, stats.bulk_pages, stats.zero_pages,
		 stats.gone_pages, stats.bytes_out);
	return ret;
}

bool lazy_serve_has_delivered(const struct dump *dump)
{
	return dump->lazy && !dump->lazy->is_kept && dump->lazy->server &&
	       server_has_delivered(dump->lazy->server);
}

void lazy_serve_end(struct dump *dump)
{
	struct lazy_serve *lazy = dump->lazy;

	if (!lazy)
		return;
	server_free(lazy->server);
	end_keepers(lazy);
	free(lazy->tasks);
	provider_free(lazy->pages);
	free(lazy);
	dump->lazy = NULL;
}
