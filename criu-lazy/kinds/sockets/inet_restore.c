// SPDX-License-Identifier: GPL-2.0
/*
 * Inet sockets, restore side; in the root task. Bound, listening and connected datagram sockets get
 * their addresses back. A TCP connection (--tcp-close) comes back as an unconnected socket: the
 * task reads ENOTCONN or a hang-up and does what it does when a connection breaks.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "inventory.pb-c.h"
#include "kinds/families.h"
#include "kinds/own_fd.h"
#include "kinds/sockets/inet.h"
#include "kinds/sockets/sk_opts.h"
#include "util/log.h"
#include "util/scope.h"

enum { ADDRESS_WORDS_4 = 1, ADDRESS_WORDS_6 = 4 };

static bool is_connection(const InetSkEntry *isk)
{
	return inet_is_tcp(isk) && isk->state != INET_STATE_LISTEN &&
	       isk->state != INET_STATE_CLOSE;
}

static bool is_closed_on_restore(const struct restore *restore)
{
	return restore->opts->tcp_close ||
	       (restore->inventory && restore->inventory->has_tcp_close &&
		restore->inventory->tcp_close);
}

static int inet_collect(struct restore *restore, struct file_object *object)
{
	const InetSkEntry *isk = object->entry->isk;
	size_t words = isk->family == AF_INET6 ? ADDRESS_WORDS_6 : ADDRESS_WORDS_4;

	if (isk->family != AF_INET && isk->family != AF_INET6)
		return log_ret(-EBADMSG, "inet socket %#x: family %u", object->id, isk->family);
	if (isk->n_src_addr != words || isk->n_dst_addr != words || isk->src_port > UINT16_MAX ||
	    isk->dst_port > UINT16_MAX)
		return log_ret(-EBADMSG, "inet socket %#x: absurd address", object->id);
	if (is_connection(isk) && !is_closed_on_restore(restore))
		return log_ret(
			-EOPNOTSUPP,
			"inet socket %#x: TCP connection (port %u to %u): moving connections is "
			"not supported yet; use --tcp-close to restore it closed",
			object->id, isk->src_port, isk->dst_port);
	return 0;
}

static bool is_any(const uint32_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (words[i])
			return false;
	}
	return true;
}

/* A raw socket's port is its protocol. */
static bool is_bound(const InetSkEntry *isk)
{
	if (isk->type == SOCK_RAW)
		return !is_any(isk->src_addr, isk->n_src_addr);
	return isk->src_port;
}

static int set_reuse(int fd, int value)
{
	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof(value));
}

/* A closed TCP socket still tells the port of its last connection, which it no longer holds; then
 * another socket of the set may have it. */
static bool is_port_of_another(struct restore *restore, const struct file_object *object)
{
	const InetSkEntry *isk = object->entry->isk;
	struct file_object *other = NULL;

	if (!inet_is_tcp(isk) || isk->state != INET_STATE_CLOSE)
		return false;
	while ((other = file_table_next(restore->files, other))) {
		if (other != object && other->ops == &inet_kind && inet_is_tcp(other->entry->isk) &&
		    other->entry->isk->src_port == isk->src_port)
			return true;
	}
	return false;
}

static int bind_address(struct restore *restore, const struct file_object *object, int fd)
{
	const InetSkEntry *isk = object->entry->isk;
	uint32_t port = isk->type == SOCK_RAW ? 0 : isk->src_port;
	union inet_address address;
	socklen_t len = inet_make_address(isk, isk->src_addr, port, &address);
	bool is_far = !is_any(isk->src_addr, isk->n_src_addr);
	int ret = 0;

	if (!is_bound(isk))
		return 0;
	/* Connections that were closed with the task linger on in TIME_WAIT; and the address may
	 * not be there yet, or IP_FREEBIND was taken back after bind. */
	if (inet_is_tcp(isk) && set_reuse(fd, 1))
		return log_errno("inet socket %#x: set SO_REUSEADDR", object->id);
	if (is_far && inet_set_freebind(fd, isk->family, 1))
		return log_errno("inet socket %#x: set IP_FREEBIND", object->id);
	if (bind(fd, &address.any, len))
		ret = -errno;
	if (is_far && inet_set_freebind(fd, isk->family, isk->ip_opts && isk->ip_opts->freebind) &&
	    !ret)
		ret = -errno;
	if (ret == -EADDRINUSE && is_port_of_another(restore, object)) {
		log_info("inet socket %#x: closed, port %u is another's", object->id,
			 isk->src_port);
		return 0;
	}
	return ret ? log_ret(ret, "inet socket %#x: bind to port %u", object->id, isk->src_port)
		   : 0;
}

static int connect_address(const struct file_object *object, int fd)
{
	const InetSkEntry *isk = object->entry->isk;
	uint32_t port = isk->type == SOCK_RAW ? 0 : isk->dst_port;
	union inet_address address;
	socklen_t len = inet_make_address(isk, isk->dst_addr, port, &address);

	if (connect(fd, &address.any, len))
		return log_errno("inet socket %#x: connect to port %u", object->id, isk->dst_port);
	return 0;
}

/* Everything between creation and the final options. */
static int restore_state(struct restore *restore, const struct file_object *object, int fd)
{
	const InetSkEntry *isk = object->entry->isk;
	int ret = bind_address(restore, object, fd);

	if (ret)
		return ret;
	if (isk->state == INET_STATE_LISTEN)
		return listen(fd, isk->backlog) ? log_errno("inet socket %#x: listen on port %u",
							    object->id, isk->src_port)
						: 0;
	if (isk->state == INET_STATE_ESTABLISHED)
		return connect_address(object, fd);
	return 0;
}

static int finish_socket(const struct file_object *object, int fd)
{
	const InetSkEntry *isk = object->entry->isk;
	int how = is_connection(isk)  ? SHUT_RDWR
		  : isk->has_shutdown ? sk_shutdown_how(isk->shutdown)
				      : -1;
	int ret = inet_opts_restore(fd, object);

	ret = ret ?: sk_opts_restore(fd, "inet socket", object->id, isk->opts);
	if (ret)
		return ret;
	if (inet_is_tcp(isk) && set_reuse(fd, isk->opts->reuseaddr))
		return log_errno("inet socket %#x: set SO_REUSEADDR", object->id);
	/* Of an unconnected socket it fails but has its effect (inet_shutdown). */
	if (how >= 0 && shutdown(fd, how) && errno != ENOTCONN)
		return log_errno("inet socket %#x: shut down", object->id);
	if (own_fd_set_flags(fd, isk->flags))
		return log_errno("inet socket %#x: set flags %#x", object->id, isk->flags);
	return 0;
}

static int inet_open(struct restore *restore, struct file_object *object, int *fd)
{
	const InetSkEntry *isk = object->entry->isk;
	scoped_fd int sock = socket(isk->family, isk->type | SOCK_CLOEXEC, isk->proto);
	int ret;

	if (sock < 0)
		return log_errno("inet socket %#x: create (family %u, type %u, protocol %u)",
				 object->id, isk->family, isk->type, isk->proto);
	ret = sk_opts_restore_early(sock, "inet socket", object->id, isk->opts);
	ret = ret ?: inet_opts_restore_early(sock, object);
	if (!ret && is_connection(isk))
		log_info("inet socket %#x: connection of port %u to %u is restored closed",
			 object->id, isk->src_port, isk->dst_port);
	else if (!ret)
		ret = restore_state(restore, object, sock);
	ret = ret ?: finish_socket(object, sock);
	if (!ret)
		*fd = take_fd(&sock);
	return ret;
}

static bool inet_detect(const struct fd_probe *probe)
{
	int family;

	if (!S_ISSOCK(probe->st.st_mode) || strncmp(probe->link, "socket:[", 8))
		return false;
	family = sk_get_int(probe->fd, SOL_SOCKET, SO_DOMAIN, -1);
	return family == AF_INET || family == AF_INET6;
}

static const FownEntry *inet_fown(const struct file_object *object)
{
	return object->entry->isk->fown;
}

const struct kind_ops inet_kind = {
	.name = "inet socket",
	.type = FD_TYPES__INETSK,
	.detect = inet_detect,
	.dump = inet_dump,
	.collect = inet_collect,
	.fown = inet_fown,
	.open = inet_open,
};
