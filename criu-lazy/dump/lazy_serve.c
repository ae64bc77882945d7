// SPDX-License-Identifier: GPL-2.0
#include "dump/lazy_serve.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "dump/dump.h"
#include "options/stage.h"
#include "transport/provider.h"
#include "transport/server.h"
#include "transport/token.h"
#include "transport/wire.h"
#include "util/log.h"

struct lazy_serve {
	struct provider *pages;
	struct server *server;
	struct token token;
	struct provider_object *object; /* of the task whose pages come now */
	const struct task *task;
};

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
		.stopped = stopped,
	};

	return server_new(&params, &lazy->server);
}

int lazy_serve_mark(struct dump *dump)
{
	return token_create(dump->images, &dump->lazy->token);
}

static int add_task(struct dump *dump, struct task *task)
{
	struct lazy_serve *lazy = dump->lazy;
	int mem_fd = openat(task->dump->proc_fd, "mem", O_RDONLY | O_CLOEXEC);

	if (mem_fd < 0)
		return log_errno("task %d: open mem", task->host_pid);
	lazy->task = task;
	return provider_add_task(lazy->pages, wire_object(WIRE_TASK, (uint64_t)task->pid),
				 task->host_pid, mem_fd, &lazy->object);
}

int lazy_serve_leave(struct dump *dump, struct task *task, uint64_t start, uint64_t end)
{
	int ret = dump->lazy->task == task ? 0 : add_task(dump, task);

	if (!ret)
		ret = provider_add_range(dump->lazy->object, start, end);
	if (ret)
		return log_ret(ret, "task %d: pages that stay", task->host_pid);
	dump->counters.pages_lazy += (end - start) / WIRE_PAGE;
	return 0;
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
		log_err("dump: stopped while pages were still owed to the destination");
	server_stats(lazy->server, &stats);
	log_info("page server: %" PRIu64 " clients, %" PRIu64 " pages on demand, %" PRIu64
		 " in bulk, %" PRIu64 " of zeros, %" PRIu64 " refused, %" PRIu64 " bytes",
		 stats.clients, stats.demand_pages, stats.bulk_pages, stats.zero_pages,
		 stats.gone_pages, stats.bytes_out);
	return ret;
}

bool lazy_serve_has_delivered(const struct dump *dump)
{
	return dump->lazy && dump->lazy->server && server_has_delivered(dump->lazy->server);
}

void lazy_serve_end(struct dump *dump)
{
	struct lazy_serve *lazy = dump->lazy;

	if (!lazy)
		return;
	server_free(lazy->server);
	provider_free(lazy->pages);
	free(lazy);
	dump->lazy = NULL;
}
