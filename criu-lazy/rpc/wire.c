// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "rpc/rpc.h"
#include "util/log.h"
#include "util/scope.h"

int rpc_receive(int fd, CriuReq **out)
{
	scoped_free uint8_t *packet = malloc(RPC_PACKET_MAX);
	ssize_t len;

	if (!packet)
		return log_ret(-ENOMEM, "rpc: packet");
	do {
		len = recv(fd, packet, RPC_PACKET_MAX, MSG_TRUNC);
	} while (len < 0 && errno == EINTR);
	if (len == 0 || (len < 0 && errno == ECONNRESET))
		return -ECONNRESET;
	if (len < 0)
		return log_errno("rpc: receive");
	if (len > RPC_PACKET_MAX)
		return log_ret(-EMSGSIZE, "rpc: a request of %zd bytes", len);
	*out = criu_req__unpack(NULL, len, packet);
	if (!*out)
		return log_ret(-EBADMSG, "rpc: a request that cannot be decoded");
	return 0;
}

int rpc_send(int fd, const CriuResp *resp)
{
	size_t len = criu_resp__get_packed_size(resp);
	scoped_free uint8_t *packet = malloc(len);

	if (!packet)
		return log_ret(-ENOMEM, "rpc: packet");
	criu_resp__pack(resp, packet);
	if (send(fd, packet, len, MSG_NOSIGNAL) != (ssize_t)len)
		return log_errno("rpc: send");
	return 0;
}
