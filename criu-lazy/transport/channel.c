// SPDX-License-Identifier: GPL-2.0
#include "transport/channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <linux/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/tls.h"

enum { PEER_SIZE = INET6_ADDRSTRLEN + 16 };
enum { DSCP_CS1 = 8, DSCP_AF21 = 18 };
enum { PRIORITY_BULK = 2, PRIORITY_INTERACTIVE = 6 }; /* TC_PRIO_* */

struct channel {
	int fd;
	struct tls_session *tls; /* NULL: plain */
	bool is_local;
	uint32_t packet; /* 0: any */
	bool has_waited; /* the writer */
	atomic_bool is_down;
	atomic_ullong bytes_in, bytes_out;
	char peer[PEER_SIZE];
};

/* ---- the peer ---------------------------------------------------------------- */

static bool is_loopback(const struct sockaddr_storage *addr)
{
	if (addr->ss_family == AF_INET) {
		uint32_t ip = ntohl(((const struct sockaddr_in *)addr)->sin_addr.s_addr);

		return ip >> 24 == 127;
	}
	if (addr->ss_family == AF_INET6) {
		const struct in6_addr *ip = &((const struct sockaddr_in6 *)addr)->sin6_addr;

		return IN6_IS_ADDR_LOOPBACK(ip) ||
		       (IN6_IS_ADDR_V4MAPPED(ip) && ip->s6_addr[12] == 127);
	}
	return addr->ss_family == AF_UNIX;
}

static void learn_peer(struct channel *channel)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);
	char ip[INET6_ADDRSTRLEN] = "?";

	snprintf(channel->peer, sizeof(channel->peer), "descriptor %d", channel->fd);
	if (getpeername(channel->fd, (struct sockaddr *)&addr, &len))
		return;
	channel->is_local = is_loopback(&addr);
	if (addr.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&addr;

		inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
		snprintf(channel->peer, sizeof(channel->peer), "%s:%u", ip, ntohs(in->sin_port));
	} else if (addr.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&addr;

		inet_ntop(AF_INET6, &in->sin6_addr, ip, sizeof(ip));
		snprintf(channel->peer, sizeof(channel->peer), "[%s]:%u", ip, ntohs(in->sin6_port));
	}
}

/* Failures are no harm: a unix socket has none of these. */
static void set_option(const struct channel *channel, int level, int name, int value)
{
	setsockopt(channel->fd, level, name, &value, sizeof(value));
}

/* ---- begin and end ------------------------------------------------------------ */

int channel_new(int fd, struct channel **out)
{
	struct channel *channel = calloc(1, sizeof(*channel));
	int flags = fcntl(fd, F_GETFL);

	if (!channel || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) {
		int ret = channel ? -errno : -ENOMEM;

		free(channel);
		close(fd);
		return ret;
	}
	channel->fd = fd;
	learn_peer(channel);
	/* From the first byte on: a handshake is many small messages. */
	set_option(channel, IPPROTO_TCP, TCP_NODELAY, 1);
	*out = channel;
	return 0;
}

int channel_start_tls(struct channel *channel, const struct tls_context *tls, bool is_server,
		      const char *host, int timeout_ms)
{
	return tls_session_new(tls, channel->fd, is_server, host, timeout_ms, &channel->tls);
}

void channel_free(struct channel *channel)
{
	if (!channel)
		return;
	tls_session_free(channel->tls);
	close(channel->fd);
	free(channel);
}

void channel_shutdown(struct channel *channel)
{
	atomic_store(&channel->is_down, true);
	shutdown(channel->fd, SHUT_RDWR);
}

/* ---- bytes -------------------------------------------------------------------- */

static int wait_for(struct channel *channel, short events, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = channel->fd, .events = events };
	int ret;

	do
		ret = poll(&poll_fd, 1, timeout_ms);
	while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return -errno;
	if (atomic_load(&channel->is_down))
		return -EPIPE;
	return ret ? 0 : -ETIMEDOUT;
}

static ssize_t read_now(struct channel *channel, void *buf, size_t len)
{
	ssize_t got;

	if (channel->tls)
		return tls_session_read(channel->tls, buf, len);
	got = recv(channel->fd, buf, len, MSG_DONTWAIT);
	return got < 0 ? -errno : got;
}

ssize_t channel_read_some(struct channel *channel, void *buf, size_t len, int timeout_ms)
{
	for (;;) {
		ssize_t got = atomic_load(&channel->is_down) ? 0 : read_now(channel, buf, len);
		int ret;

		if (got > 0) {
			atomic_fetch_add_explicit(&channel->bytes_in, (uint64_t)got,
						  memory_order_relaxed);
			return got;
		}
		if (!got)
			return -EPIPE;
		if (got != -EAGAIN && got != -EINTR)
			return got;
		ret = wait_for(channel, POLLIN, timeout_ms);
		if (ret)
			return ret;
	}
}

int channel_read(struct channel *channel, void *buf, size_t len, int timeout_ms)
{
	uint8_t *at = buf;

	while (len) {
		ssize_t got = channel_read_some(channel, at, len, timeout_ms);

		if (got < 0)
			return (int)got;
		at += got;
		len -= (size_t)got;
	}
	return 0;
}

/*
 * TLS makes at least one record of each call. A small first part (the header of a frame) goes into
 * one record with what follows, as far as that fits.
 */
static ssize_t write_tls(struct channel *channel, const struct iovec *parts, size_t count)
{
	uint8_t joined[16384];
	size_t len = 0;

	if (count == 1 || parts[0].iov_len >= sizeof(joined) / 2)
		return tls_session_write(channel->tls, parts[0].iov_base, parts[0].iov_len);
	for (size_t i = 0; i < count && len < sizeof(joined); i++) {
		size_t room = sizeof(joined) - len;
		size_t take = parts[i].iov_len < room ? parts[i].iov_len : room;

		memcpy(joined + len, parts[i].iov_base, take);
		len += take;
	}
	return tls_session_write(channel->tls, joined, len);
}

/* One packet's worth, which nothing else is put into (MSG_EOR). */
static ssize_t write_packet(struct channel *channel, const struct iovec *parts, size_t count)
{
	struct iovec some[2];
	struct msghdr msg = { .msg_iov = some };
	size_t room = channel->packet;
	ssize_t put;

	for (; msg.msg_iovlen < count && msg.msg_iovlen < 2 && room; msg.msg_iovlen++) {
		struct iovec *part = &some[msg.msg_iovlen];

		*part = parts[msg.msg_iovlen];
		if (part->iov_len > room)
			part->iov_len = room;
		room -= part->iov_len;
	}
	put = sendmsg(channel->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR);
	return put < 0 ? -errno : put;
}

static ssize_t write_now(struct channel *channel, struct iovec *parts, size_t count)
{
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = count };
	ssize_t put;

	if (channel->tls)
		return write_tls(channel, parts, count);
	if (channel->packet)
		return write_packet(channel, parts, count);
	put = sendmsg(channel->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	return put < 0 ? -errno : put;
}

static void skip_parts(struct iovec **parts, size_t *count, size_t done)
{
	while (*count && done >= (*parts)->iov_len) {
		done -= (*parts)->iov_len;
		(*parts)++;
		(*count)--;
	}
	if (*count) {
		(*parts)->iov_base = (uint8_t *)(*parts)->iov_base + done;
		(*parts)->iov_len -= done;
	}
}

int channel_write(struct channel *channel, struct iovec *parts, size_t count, int timeout_ms)
{
	skip_parts(&parts, &count, 0);
	while (count) {
		ssize_t put =
			atomic_load(&channel->is_down) ? -EPIPE : write_now(channel, parts, count);
		int ret = 0;

		if (put > 0) {
			atomic_fetch_add_explicit(&channel->bytes_out, (uint64_t)put,
						  memory_order_relaxed);
			skip_parts(&parts, &count, (size_t)put);
		} else if (put == -EAGAIN) {
			channel->has_waited = true;
			ret = wait_for(channel, POLLOUT, timeout_ms);
		} else if (put != -EINTR) {
			ret = put ? (int)put : -EPIPE;
		}
		if (ret)
			return ret;
	}
	return 0;
}

int channel_write_bytes(struct channel *channel, const void *data, size_t len, int timeout_ms)
{
	struct iovec part = { .iov_base = (void *)data, .iov_len = len };

	return channel_write(channel, &part, 1, timeout_ms);
}

int channel_wait(struct channel *channel, int cancel_fd, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = channel->fd, .events = POLLIN },
		{ .fd = cancel_fd, .events = POLLIN },
	};
	int ret;

	if (channel_has_pending(channel))
		return 0;
	do
		ret = poll(fds, 2, timeout_ms);
	while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return -errno;
	if (!ret)
		return -ETIMEDOUT;
	return fds[1].revents ? -ECANCELED : 0;
}

/* ---- facts -------------------------------------------------------------------- */

int channel_fd(const struct channel *channel)
{
	return channel->fd;
}

bool channel_has_pending(const struct channel *channel)
{
	return channel->tls && tls_session_has_pending(channel->tls);
}

const char *channel_peer(const struct channel *channel)
{
	return channel->peer;
}

bool channel_is_local(const struct channel *channel)
{
	return channel->is_local;
}

bool channel_is_tls(const struct channel *channel)
{
	return channel->tls;
}

uint64_t channel_bytes_in(const struct channel *channel)
{
	return atomic_load_explicit(&channel->bytes_in, memory_order_relaxed);
}

uint64_t channel_bytes_out(const struct channel *channel)
{
	return atomic_load_explicit(&channel->bytes_out, memory_order_relaxed);
}

/* ---- tuning ------------------------------------------------------------------- */

static void tune_loss(const struct channel *channel, unsigned int dead_ms)
{
	int seconds = (int)(dead_ms / 1000);

	set_option(channel, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)dead_ms);
	set_option(channel, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(channel, IPPROTO_TCP, TCP_KEEPIDLE, seconds > 2 ? seconds / 2 : 1);
	set_option(channel, IPPROTO_TCP, TCP_KEEPINTVL, seconds > 4 ? seconds / 4 : 1);
	set_option(channel, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

/* Routers and queues may tell the two apart; the words are those of OpenSSH. The priority comes
 * last: the kernel sets one for the old meaning of the other bits. */
static void tune_class(const struct channel *channel, int dscp, int priority)
{
	set_option(channel, IPPROTO_IP, IP_TOS, dscp << 2);
	set_option(channel, IPPROTO_IPV6, IPV6_TCLASS, dscp << 2);
	set_option(channel, SOL_SOCKET, SO_PRIORITY, priority);
}

void channel_tune_demand(struct channel *channel, unsigned int dead_ms)
{
	tune_class(channel, DSCP_AF21, PRIORITY_INTERACTIVE);
	tune_loss(channel, dead_ms);
}

void channel_tune_bulk(struct channel *channel, unsigned int queue, unsigned int dead_ms)
{
	tune_class(channel, DSCP_CS1, PRIORITY_BULK);
	set_option(channel, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)queue);
	tune_loss(channel, dead_ms);
}

void channel_pace(struct channel *channel, uint64_t rate, uint32_t packet)
{
	uint64_t most = rate ? rate : UINT64_MAX;

	setsockopt(channel->fd, SOL_SOCKET, SO_MAX_PACING_RATE, &most, sizeof(most));
	channel->packet = packet;
}

bool channel_has_waited(struct channel *channel)
{
	bool has_waited = channel->has_waited;

	channel->has_waited = false;
	return has_waited;
}

bool channel_way(const struct channel *channel, uint64_t *acked, uint32_t *rtt_us,
		 uint32_t *min_rtt_us)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(channel->fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return false;
	*acked = info.tcpi_bytes_acked;
	*rtt_us = info.tcpi_rtt;
	*min_rtt_us = info.tcpi_min_rtt;
	return true;
}
