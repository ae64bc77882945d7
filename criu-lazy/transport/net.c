// SPDX-License-Identifier: GPL-2.0
#include "transport/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "util/log.h"
#include "util/scope.h"

enum { BACKLOG = 128 };

static void free_addresses(struct addrinfo *const *list)
{
	if (*list)
		freeaddrinfo(*list);
}

#define scoped_addresses __attribute__((cleanup(free_addresses)))

static int resolve(const char *host, uint16_t port, int flags, struct addrinfo **out)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = flags | AI_NUMERICSERV,
	};
	char service[8];
	int ret;

	snprintf(service, sizeof(service), "%u", port);
	ret = getaddrinfo(host ? host : "127.0.0.1", service, &hints, out);
	if (!ret)
		return 0;
	log_err("address %s: %s", host, gai_strerror(ret));
	return -EADDRNOTAVAIL;
}

static int listen_on(const struct addrinfo *addr)
{
	int one = 1;
	scoped_fd int fd = socket(addr->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, addr->ai_addr, addr->ai_addrlen) || listen(fd, BACKLOG))
		return -errno;
	return take_fd(&fd);
}

int net_listen(const char *host, uint16_t port)
{
	scoped_addresses struct addrinfo *list = NULL;
	int ret = resolve(host, port, AI_PASSIVE, &list);

	if (ret)
		return ret;
	for (const struct addrinfo *addr = list; addr; addr = addr->ai_next) {
		ret = listen_on(addr);
		if (ret >= 0)
			return ret;
	}
	return log_ret(ret, "listen on %s port %u", host ? host : "127.0.0.1", port);
}

uint16_t net_port(int fd)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &len))
		return 0;
	if (addr.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&addr)->sin_port);
	if (addr.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&addr)->sin6_port);
	return 0;
}

static int connect_to(const struct addrinfo *addr, int timeout_ms)
{
	scoped_fd int fd = socket(addr->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
	int error = 0, ret;
	socklen_t len = sizeof(error);

	if (fd < 0)
		return -errno;
	if (connect(fd, addr->ai_addr, addr->ai_addrlen) && errno != EINPROGRESS)
		return -errno;
	do
		ret = poll(&poll_fd, 1, timeout_ms);
	while (ret < 0 && errno == EINTR);
	if (ret <= 0)
		return ret ? -errno : -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) || error)
		return error ? -error : -errno;
	return take_fd(&fd);
}

int net_connect(const char *host, uint16_t port, int timeout_ms)
{
	scoped_addresses struct addrinfo *list = NULL;
	int ret = resolve(host, port, 0, &list);

	if (ret)
		return ret;
	for (const struct addrinfo *addr = list; addr; addr = addr->ai_next) {
		ret = connect_to(addr, timeout_ms);
		if (ret >= 0)
			return ret;
	}
	return log_ret(ret, "connect to %s port %u", host ? host : "127.0.0.1", port);
}
