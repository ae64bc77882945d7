// SPDX-License-Identifier: GPL-2.0
/* Options of ip(7), ipv6(7), raw(7) and tcp(7). Only what differs from a new socket is set. */
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kinds/sockets/inet.h"
#include "kinds/sockets/sk_opts.h"
#include "util/log.h"

#ifndef ICMP_FILTER
#define ICMP_FILTER 1
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
enum { FILTER_WORDS_4 = 1, FILTER_WORDS_6 = 8 };

int inet_get_freebind(int fd, int family)
{
	return family == AF_INET6 ? sk_get_int(fd, SOL_IPV6, IPV6_FREEBIND, 0)
				  : sk_get_int(fd, SOL_IP, IP_FREEBIND, 0);
}

int inet_set_freebind(int fd, int family, int value)
{
	return family == AF_INET6 ? setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &value, sizeof(value))
				  : setsockopt(fd, SOL_IP, IP_FREEBIND, &value, sizeof(value));
}

/* ---- dump ---------------------------------------------------------------- */

/* raw(7): a bitmap of ICMP types that are not delivered. */
static int dump_icmp_filter(int fd, int family, int proto, IpOptsRawEntry *raw)
{
	uint32_t words[FILTER_WORDS_6] = { 0 };
	socklen_t len = sizeof(words);
	int ret;

	if (family == AF_INET && proto == IPPROTO_ICMP)
		ret = getsockopt(fd, SOL_RAW, ICMP_FILTER, words, &len);
	else if (family == AF_INET6 && proto == IPPROTO_ICMPV6)
		ret = getsockopt(fd, SOL_ICMPV6, ICMPV6_FILTER, words, &len);
	else
		return 0;
	if (ret || len % sizeof(words[0]))
		return 0;
	raw->n_icmpv_filter = len / sizeof(words[0]);
	raw->icmpv_filter = calloc(raw->n_icmpv_filter + 1, sizeof(words[0]));
	if (!raw->icmpv_filter)
		return -ENOMEM;
	memcpy(raw->icmpv_filter, words, len);
	return 0;
}

static int dump_raw(int fd, int family, int proto, IpOptsEntry *ip)
{
	IpOptsRawEntry *raw = message_new(IpOptsRawEntry, ip_opts_raw_entry);

	if (!raw)
		return -ENOMEM;
	ip->raw = raw;
	raw->hdrincl = sk_get_int(fd, family == AF_INET6 ? SOL_IPV6 : SOL_IP,
				  family == AF_INET6 ? IPV6_HDRINCL : IP_HDRINCL, 0);
	raw->has_hdrincl = raw->hdrincl;
	raw->nodefrag = family == AF_INET && sk_get_int(fd, SOL_IP, IP_NODEFRAG, 0);
	raw->has_nodefrag = raw->nodefrag;
	return dump_icmp_filter(fd, family, proto, raw);
}

/* Levels differ for the two families; IPv6 sockets have the IPv4 options as well, for mapped
 * addresses, but their own are what matters. */
static void dump_ip(int fd, int family, IpOptsEntry *ip)
{
	int initial_ttl = 0, ttl;

	ip->freebind = inet_get_freebind(fd, family);
	ip->has_freebind = ip->freebind;
	ip->pktinfo = family == AF_INET ? sk_get_int(fd, SOL_IP, IP_PKTINFO, 0)
					: sk_get_int(fd, SOL_IPV6, IPV6_RECVPKTINFO, 0);
	ip->has_pktinfo = ip->pktinfo;
	if (family != AF_INET)
		return;
	ip->tos = sk_get_int(fd, SOL_IP, IP_TOS, 0);
	ip->has_tos = ip->tos;
	/* A new socket's is the sysctl net.ipv4.ip_default_ttl. */
	int plain = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (plain >= 0) {
		initial_ttl = sk_get_int(plain, SOL_IP, IP_TTL, 0);
		close(plain);
	}
	ttl = sk_get_int(fd, SOL_IP, IP_TTL, initial_ttl);
	ip->has_ttl = ttl != initial_ttl;
	ip->ttl = ttl;
}

static int dump_tcp(int fd, InetSkEntry *isk)
{
	TcpOptsEntry *tcp = message_new(TcpOptsEntry, tcp_opts_entry);

	if (!tcp)
		return -ENOMEM;
	isk->tcp_opts = tcp;
	tcp->cork = sk_get_int(fd, SOL_TCP, TCP_CORK, 0);
	tcp->has_cork = tcp->cork;
	tcp->nodelay = sk_get_int(fd, SOL_TCP, TCP_NODELAY, 0);
	tcp->has_nodelay = tcp->nodelay;
	tcp->has_keepcnt = tcp->has_keepidle = tcp->has_keepintvl = true;
	tcp->keepcnt = sk_get_int(fd, SOL_TCP, TCP_KEEPCNT, 0);
	tcp->keepidle = sk_get_int(fd, SOL_TCP, TCP_KEEPIDLE, 0);
	tcp->keepintvl = sk_get_int(fd, SOL_TCP, TCP_KEEPINTVL, 0);
	return 0;
}

int inet_opts_dump(const struct fd_probe *probe, InetSkEntry *isk)
{
	IpOptsEntry *ip = message_new(IpOptsEntry, ip_opts_entry);
	int ret = 0;

	if (!ip)
		return -ENOMEM;
	isk->ip_opts = ip;
	dump_ip(probe->fd, isk->family, ip);
	if (isk->family == AF_INET6) {
		isk->has_v6only = true;
		isk->v6only = sk_get_int(probe->fd, SOL_IPV6, IPV6_V6ONLY, 0);
	}
	if (isk->type == SOCK_RAW)
		ret = dump_raw(probe->fd, isk->family, isk->proto, ip);
	if (!ret && inet_is_tcp(isk))
		ret = dump_tcp(probe->fd, isk);
	return ret;
}

/* ---- restore ------------------------------------------------------------- */

static int set_int(int fd, const struct file_object *object, int level, int option, int value,
		   const char *name)
{
	if (sk_get_int(fd, level, option, ~value) == value)
		return 0;
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		return log_errno("inet socket %#x: set %s to %d", object->id, name, value);
	return 0;
}

int inet_opts_restore_early(int fd, const struct file_object *object)
{
	const InetSkEntry *isk = object->entry->isk;
	int ret = 0;

	if (isk->ip_opts && isk->ip_opts->freebind)
		ret = inet_set_freebind(fd, isk->family, 1)
			      ? log_errno("inet socket %#x: set IP_FREEBIND", object->id)
			      : 0;
	if (!ret && isk->family == AF_INET6 && isk->has_v6only)
		ret = set_int(fd, object, SOL_IPV6, IPV6_V6ONLY, isk->v6only, "IPV6_V6ONLY");
	return ret;
}

static int restore_icmp_filter(int fd, const struct file_object *object, const IpOptsRawEntry *raw)
{
	const InetSkEntry *isk = object->entry->isk;
	size_t expected = isk->family == AF_INET6 ? FILTER_WORDS_6 : FILTER_WORDS_4;
	int level = isk->family == AF_INET6 ? SOL_ICMPV6 : SOL_RAW;
	int option = isk->family == AF_INET6 ? ICMPV6_FILTER : ICMP_FILTER;

	if (!raw->n_icmpv_filter)
		return 0;
	if (raw->n_icmpv_filter != expected)
		return log_ret(-EBADMSG, "inet socket %#x: ICMP filter of %zu words", object->id,
			       raw->n_icmpv_filter);
	if (setsockopt(fd, level, option, raw->icmpv_filter, expected * sizeof(uint32_t)))
		return log_errno("inet socket %#x: set the ICMP filter", object->id);
	return 0;
}

static int restore_raw(int fd, const struct file_object *object, const IpOptsRawEntry *raw)
{
	bool is_v6 = object->entry->isk->family == AF_INET6;
	int ret = 0;

	if (raw->hdrincl)
		ret = set_int(fd, object, is_v6 ? SOL_IPV6 : SOL_IP,
			      is_v6 ? IPV6_HDRINCL : IP_HDRINCL, 1, "IP_HDRINCL");
	if (!ret && raw->nodefrag)
		ret = set_int(fd, object, SOL_IP, IP_NODEFRAG, 1, "IP_NODEFRAG");
	return ret ?: restore_icmp_filter(fd, object, raw);
}

static int restore_ip(int fd, const struct file_object *object, const IpOptsEntry *ip)
{
	bool is_v6 = object->entry->isk->family == AF_INET6;
	int ret = 0;

	if (ip->pktinfo)
		ret = set_int(fd, object, is_v6 ? SOL_IPV6 : SOL_IP,
			      is_v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1, "IP_PKTINFO");
	if (!ret && ip->has_tos)
		ret = set_int(fd, object, SOL_IP, IP_TOS, ip->tos, "IP_TOS");
	if (!ret && ip->has_ttl)
		ret = set_int(fd, object, SOL_IP, IP_TTL, ip->ttl, "IP_TTL");
	if (!ret && ip->raw)
		ret = restore_raw(fd, object, ip->raw);
	return ret;
}

static int restore_tcp(int fd, const struct file_object *object, const TcpOptsEntry *tcp)
{
	const struct {
		protobuf_c_boolean has;
		int option, value;
		const char *name;
	} options[] = {
		{ tcp->has_nodelay, TCP_NODELAY, tcp->nodelay, "TCP_NODELAY" },
		{ tcp->has_cork, TCP_CORK, tcp->cork, "TCP_CORK" },
		{ tcp->has_keepcnt, TCP_KEEPCNT, tcp->keepcnt, "TCP_KEEPCNT" },
		{ tcp->has_keepidle, TCP_KEEPIDLE, tcp->keepidle, "TCP_KEEPIDLE" },
		{ tcp->has_keepintvl, TCP_KEEPINTVL, tcp->keepintvl, "TCP_KEEPINTVL" },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int ret;

		if (!options[i].has)
			continue;
		ret = set_int(fd, object, SOL_TCP, options[i].option, options[i].value,
			      options[i].name);
		if (ret)
			return ret;
	}
	return 0;
}

/* Older writers kept them with the general options. */
static int restore_old_keepalive(int fd, const struct file_object *object, const SkOptsEntry *opts)
{
	TcpOptsEntry tcp = TCP_OPTS_ENTRY__INIT;

	tcp.has_keepcnt = opts->has_tcp_keepcnt;
	tcp.keepcnt = opts->tcp_keepcnt;
	tcp.has_keepidle = opts->has_tcp_keepidle;
	tcp.keepidle = opts->tcp_keepidle;
	tcp.has_keepintvl = opts->has_tcp_keepintvl;
	tcp.keepintvl = opts->tcp_keepintvl;
	return restore_tcp(fd, object, &tcp);
}

int inet_opts_restore(int fd, const struct file_object *object)
{
	const InetSkEntry *isk = object->entry->isk;
	int ret = 0;

	if (isk->ip_opts)
		ret = restore_ip(fd, object, isk->ip_opts);
	if (ret || !inet_is_tcp(isk))
		return ret;
	ret = restore_old_keepalive(fd, object, isk->opts);
	if (!ret && isk->tcp_opts)
		ret = restore_tcp(fd, object, isk->tcp_opts);
	return ret;
}
