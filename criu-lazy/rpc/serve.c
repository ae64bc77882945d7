// SPDX-License-Identifier: GPL-2.0
/* One connection: a request at a time, each answered, notifications in between. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dump/dump.h"
#include "kernel/features.h"
#include "restore/restore.h"
#include "rpc/rpc.h"
#include "options/log_file.h"
#include "util/log.h"
#include "version.h"

struct connection {
	int fd;
	pid_t client;
};

static int enter_work_dir(const struct options *opts)
{
	int fd = opts->work_dir_fd >= 0 ? opts->work_dir_fd : opts->images_dir_fd;

	return fchdir(fd) ? log_errno("rpc: work directory") : 0;
}

/* Options, work directory and log, as command_setup() does for the command line. */
static int prepare(struct connection *conn, const CriuReq *req, struct stage_hook *hook,
		   struct options *opts)
{
	int ret;

	if (!req->opts)
		return log_ret(-EINVAL, "rpc: a request without options");
	ret = rpc_options(req->opts, conn->client, opts);
	if (!ret)
		ret = enter_work_dir(opts);
	if (!ret)
		ret = options_open_log(opts);
	if (!ret && req->opts->has_notify_scripts && req->opts->notify_scripts) {
		*hook = (struct stage_hook){ .call = rpc_notify, .ctx = &conn->fd };
		opts->hook = hook;
	}
	return ret;
}

static void finish(struct options *opts)
{
	if (opts->images_dir_fd >= 0)
		close(opts->images_dir_fd);
	if (opts->work_dir_fd >= 0)
		close(opts->work_dir_fd);
	options_fini(opts);
}

static int answer(const struct connection *conn, CriuResp *resp, int ret)
{
	resp->success = ret == 0;
	if (ret) {
		resp->has_cr_errno = true;
		resp->cr_errno = -ret;
		resp->cr_errmsg = (char *)log_first_error();
	}
	return rpc_send(conn->fd, resp);
}

static int serve_dump(struct connection *conn, const CriuReq *req, CriuResp *resp)
{
	CriuDumpResp dump = CRIU_DUMP_RESP__INIT;
	struct stage_hook hook;
	struct options opts;
	int ret;

	options_init(&opts);
	ret = prepare(conn, req, &hook, &opts);
	if (!ret && !opts.tree_pid)
		ret = log_ret(-EOPNOTSUPP, "rpc: a dump of the client itself is not supported yet");
	if (!ret)
		ret = dump_run(&opts);
	dump.has_restored = true;
	resp->dump = &dump;
	ret = answer(conn, resp, ret);
	finish(&opts);
	return ret;
}

static int serve_restore(struct connection *conn, const CriuReq *req, CriuResp *resp)
{
	CriuRestoreResp restore = CRIU_RESTORE_RESP__INIT;
	struct stage_hook hook;
	struct options opts;
	int ret;

	options_init(&opts);
	ret = prepare(conn, req, &hook, &opts);
	if (!ret)
		ret = restore_run(&opts, &restore.pid);
	if (!ret)
		resp->restore = &restore;
	ret = answer(conn, resp, ret);
	finish(&opts);
	return ret;
}

static int serve_check(struct connection *conn, CriuResp *resp)
{
	int ret = 0;

	for (size_t i = 0; i < feature_count; i++) {
		const struct feature *feature = &feature_table[i];

		if (feature->level == FEATURE_NEEDED && !feature->probe())
			ret = log_ret(-EOPNOTSUPP, "%s is missing: needed for %s", feature->name,
				      feature->purpose);
	}
	return answer(conn, resp, ret);
}

static bool has(const char *feature)
{
	return feature_find(feature)->probe();
}

static int serve_features(struct connection *conn, const CriuReq *req, CriuResp *resp)
{
	CriuFeatures features = CRIU_FEATURES__INIT;

	if (!req->features)
		return answer(conn, resp, log_ret(-EINVAL, "rpc: which features?"));
	features.has_mem_track = req->features->has_mem_track;
	features.mem_track = has("mem_dirty_track");
	features.has_lazy_pages = req->features->has_lazy_pages;
	features.lazy_pages = has("uffd-noncoop");
	features.has_pidfd_store = req->features->has_pidfd_store;
	features.pidfd_store = has("pidfd_store");
	resp->features = &features;
	return answer(conn, resp, 0);
}

static int serve_version(struct connection *conn, CriuResp *resp)
{
	CriuVersion version = CRIU_VERSION__INIT;

	version.major_number = CRIU_VERSION_MAJOR;
	version.minor_number = CRIU_VERSION_MINOR;
	version.name = (char *)"criu-lazy " CRIU_LAZY_VERSION;
	resp->version = &version;
	return answer(conn, resp, 0);
}

static int serve_request(struct connection *conn, const CriuReq *req)
{
	CriuResp resp = CRIU_RESP__INIT;

	log_forget_first_error();
	resp.type = req->type;
	switch (req->type) {
	case CRIU_REQ_TYPE__DUMP:
		return serve_dump(conn, req, &resp);
	case CRIU_REQ_TYPE__RESTORE:
		return serve_restore(conn, req, &resp);
	case CRIU_REQ_TYPE__CHECK:
		return serve_check(conn, &resp);
	case CRIU_REQ_TYPE__FEATURE_CHECK:
		return serve_features(conn, req, &resp);
	case CRIU_REQ_TYPE__VERSION:
		return serve_version(conn, &resp);
	default:
		return answer(conn, &resp,
			      log_ret(-EOPNOTSUPP, "rpc: request %d is not supported yet",
				      (int)req->type));
	}
}

int rpc_serve(int fd)
{
	struct connection conn = { .fd = fd };
	struct ucred peer;
	socklen_t len = sizeof(peer);
	bool goes_on = true;
	int ret = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return log_errno("rpc: descriptor %d", fd);
	conn.client = peer.pid;
	while (!ret && goes_on) {
		CriuReq *req;

		ret = rpc_receive(fd, &req);
		if (ret)
			break;
		goes_on = req->has_keep_open && req->keep_open;
		ret = serve_request(&conn, req);
		criu_req__free_unpacked(req, NULL);
	}
	return ret == -ECONNRESET ? 0 : ret;
}
