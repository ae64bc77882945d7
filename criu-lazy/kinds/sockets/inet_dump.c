// SPDX-License-Identifier: GPL-2.0
/*
 * Inet sockets, dump side. The duplicate tells everything: names, TCP_INFO (for a listening socket
 * its unacked is the number of waiting connections and sacked the backlog). Only a half shutdown of
 * a datagram socket, and whether a closed one is bound, are asked of sock_diag.
 */
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "kinds/fown.h"
#include "kinds/sockets/inet.h"
#include "kinds/sockets/sk_opts.h"
#include "util/log.h"
#include "util/scope.h"

/* ---- addresses ----------------------------------------------------------- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static int fill_address(const union address *address, int family, uint32_t **words, size_t *count,
			uint32_t *port)
{
	size_t len = family == AF_INET ? 1 : 4;

	*words = calloc(len, sizeof(uint32_t));
	if (!*words)
		return -ENOMEM;
	*count = len;
	if (family == AF_INET) {
		memcpy(*words, &address->v4.sin_addr, 4);
		*port = ntohs(address->v4.sin_port);
	} else {
		memcpy(*words, &address->v6.sin6_addr, 16);
		*port = ntohs(address->v6.sin6_port);
	}
	return 0;
}

/* Link-local addresses mean something on one interface only. */
static int dump_scope(const union address *local, const union address *remote, InetSkEntry *isk)
{
	uint32_t scope = local->v6.sin6_scope_id ?: remote->v6.sin6_scope_id;
	char name[IF_NAMESIZE];

	if (isk->family != AF_INET6 || !scope)
		return 0;
	if (!if_indextoname(scope, name))
		return -errno;
	isk->ifname = strdup(name);
	return isk->ifname ? 0 : -ENOMEM;
}

static int dump_addresses(int fd, InetSkEntry *isk, bool *is_connected)
{
	union address local = { 0 }, remote = { 0 };
	socklen_t local_len = sizeof(local), remote_len = sizeof(remote);
	int ret;

	if (getsockname(fd, &local.any, &local_len))
		return -errno;
	*is_connected = !getpeername(fd, &remote.any, &remote_len);
	if (!*is_connected)
		memset(&remote, 0, sizeof(remote));
	ret = dump_scope(&local, &remote, isk);
	ret = ret
		      ?: fill_address(&local, isk->family, &isk->src_addr, &isk->n_src_addr,
				      &isk->src_port);
	return ret
		       ?: fill_address(&remote, isk->family, &isk->dst_addr, &isk->n_dst_addr,
				       &isk->dst_port);
}

/* ---- states -------------------------------------------------------------- */

/*
 * A connection that has ended still tells its port, but no longer has it, unless it was bound by
 * name (kernel: inet_put_port()). To bind it would take the port from whoever has it now. It stays
 * shut: reads end at once.
 */
static void dump_closed(InetSkEntry *isk)
{
	if (!isk->src_port || inet_diag_is_bound(isk))
		return;
	isk->src_port = 0;
	memset(isk->src_addr, 0, isk->n_src_addr * sizeof(*isk->src_addr));
	isk->has_shutdown = true;
	isk->shutdown = SK_SHUTDOWN__BOTH;
}

static int dump_tcp_state(struct dump *dump, const struct fd_probe *probe, InetSkEntry *isk)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(probe->fd, SOL_TCP, TCP_INFO, &info, &len))
		return log_errno("task %d: fd %d: TCP_INFO", probe->task->pid, probe->number);
	isk->state = info.tcpi_state;
	if (isk->state == INET_STATE_CLOSE) {
		dump_closed(isk);
		return 0;
	}
	if (isk->state == INET_STATE_LISTEN) {
		isk->backlog = info.tcpi_sacked;
		if (info.tcpi_unacked && !dump->opts->skip_in_flight && !dump->opts->tcp_close)
			return log_ret(
				-EOPNOTSUPP,
				"task %d: fd %d: listening TCP socket (port %u) has %u "
				"connections nobody accepted yet; use --skip-in-flight to drop "
				"them",
				probe->task->pid, probe->number, isk->src_port, info.tcpi_unacked);
		return 0;
	}
	if (dump->opts->tcp_close)
		return 0;
	return log_ret(
		-EOPNOTSUPP,
		"task %d: fd %d: connected TCP socket (port %u to %u): moving connections is not "
		"supported yet; use --tcp-close to restore it closed",
		probe->task->pid, probe->number, isk->src_port, isk->dst_port);
}

static bool is_udp(const InetSkEntry *isk)
{
	return isk->proto == IPPROTO_UDP || isk->proto == IPPROTO_UDPLITE;
}

static int dump_datagram_state(const struct fd_probe *probe, InetSkEntry *isk, bool is_connected)
{
	int queued = 0, corked;
	uint8_t shutdown;

	isk->state = is_connected ? INET_STATE_ESTABLISHED : INET_STATE_CLOSE;
	corked = is_udp(isk) && sk_get_int(probe->fd, isk->proto, UDP_CORK, 0);
	if (corked)
		return log_ret(-EOPNOTSUPP, "task %d: fd %d: corked UDP socket", probe->task->pid,
			       probe->number);
	if (!ioctl(probe->fd, SIOCINQ, &queued) && queued)
		log_warn("task %d: fd %d: datagrams received but not read are not kept",
			 probe->task->pid, probe->number);
	shutdown = is_udp(isk) && isk->src_port ? inet_diag_shutdown(isk) : 0;
	isk->has_shutdown = shutdown;
	isk->shutdown = shutdown;
	return 0;
}

static int fill(struct dump *dump, const struct fd_probe *probe, InetSkEntry *isk)
{
	bool is_connected = false;
	int ret = fown_dump(dump, probe, &isk->fown);

	isk->ino = probe->st.st_ino;
	isk->family = sk_get_int(probe->fd, SOL_SOCKET, SO_DOMAIN, 0);
	isk->type = sk_get_int(probe->fd, SOL_SOCKET, SO_TYPE, 0);
	isk->proto = sk_get_int(probe->fd, SOL_SOCKET, SO_PROTOCOL, 0);
	isk->flags = probe->flags;
	isk->has_ns_id = sk_net_ns_id(dump, &isk->ns_id);
	ret = ret ?: dump_addresses(probe->fd, isk, &is_connected);
	ret = ret ?: sk_opts_dump(probe, &isk->opts);
	ret = ret ?: inet_opts_dump(probe, isk);
	if (ret)
		return log_ret(ret, "task %d: fd %d: inet socket", probe->task->pid, probe->number);
	return inet_is_tcp(isk) ? dump_tcp_state(dump, probe, isk)
				: dump_datagram_state(probe, isk, is_connected);
}

static bool is_supported(int type, int proto)
{
	switch (type) {
	case SOCK_STREAM:
		return proto == IPPROTO_TCP;
	case SOCK_DGRAM:
		return proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE || proto == IPPROTO_ICMP ||
		       proto == IPPROTO_ICMPV6;
	case SOCK_RAW:
		return true;
	}
	return false;
}

int inet_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	InetSkEntry *isk;
	int type = sk_get_int(probe->fd, SOL_SOCKET, SO_TYPE, -1);
	int proto = sk_get_int(probe->fd, SOL_SOCKET, SO_PROTOCOL, -1);

	if (!is_supported(type, proto))
		return log_ret(-EOPNOTSUPP, "task %d: fd %d: inet socket of type %d, protocol %d",
			       probe->task->pid, probe->number, type, proto);
	isk = message_new(InetSkEntry, inet_sk_entry);
	if (!isk)
		return -ENOMEM;
	entry->isk = isk;
	isk->id = entry->id;
	return fill(dump, probe, isk);
}
