// SPDX-License-Identifier: GPL-2.0
#include <errno.h>

#include "rpc/rpc.h"
#include "util/log.h"

int rpc_notify(void *ctx, const char *stage, pid_t pid)
{
	const int *fd = ctx;
	CriuNotify notify = CRIU_NOTIFY__INIT;
	CriuResp resp = CRIU_RESP__INIT;
	CriuReq *req;
	bool is_good;
	int ret;

	notify.script = (char *)stage;
	notify.has_pid = pid != 0;
	notify.pid = pid;
	resp.type = CRIU_REQ_TYPE__NOTIFY;
	resp.success = true;
	resp.notify = &notify;
	ret = rpc_send(*fd, &resp);
	if (!ret)
		ret = rpc_receive(*fd, &req);
	if (ret)
		return log_ret(ret, "rpc: %s: the client does not answer", stage);
	is_good = req->type == CRIU_REQ_TYPE__NOTIFY && req->has_notify_success &&
		  req->notify_success;
	criu_req__free_unpacked(req, NULL);
	return is_good ? 0 : log_ret(-ECANCELED, "rpc: %s: the client says no", stage);
}
