// SPDX-License-Identifier: GPL-2.0
/* TCP and UDP sockets that are new, bound, listening or connected, with options. */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "victim.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static union address local(int fd)
{
	union address address = { 0 };
	socklen_t len = sizeof(address);

	require(!getsockname(fd, &address.any, &len), "getsockname");
	return address;
}

static int make(int family, int type, int proto, bool is_bound)
{
	union address address = { .any.sa_family = family };
	int fd = socket(family, type, proto);

	require(fd >= 0, "socket");
	if (family == AF_INET)
		address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		address.v6.sin6_addr = in6addr_loopback;
	if (is_bound)
		require(!bind(fd, &address.any, sizeof(address)), "bind");
	return fd;
}

static void set(int fd, int level, int option, int value)
{
	require(!setsockopt(fd, level, option, &value, sizeof(value)), "option %d/%d", level,
		option);
}

static int get(int fd, int level, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	require(!getsockopt(fd, level, option, &value, &len), "option %d/%d", level, option);
	return value;
}

static void require_accepts(int listener)
{
	union address address = local(listener);
	int client = socket(address.any.sa_family, SOCK_STREAM, 0), accepted;
	struct pollfd waiting = { .fd = listener, .events = POLLIN };

	require(!connect(client, &address.any, sizeof(address)), "connect");
	require(poll(&waiting, 1, 1000) == 1, "poll");
	accepted = accept(listener, NULL, NULL);
	require(accepted >= 0, "accept");
	close(client);
	close(accepted);
}

int main(int argc, char **argv)
{
	/* "ip proto is udp, else drop" in spirit: lets everything pass. */
	struct sock_filter code[] = { { 0x06, 0, 0, 0xffff } };
	struct sock_fprog program = { 1, code };
	int listener, listener6, fresh, bound, udp, udp6, connected;
	union address before[4], udp_address;
	socklen_t count = 0;
	char buf[8];

	victim_begin(argc, argv);
	listener = make(AF_INET, SOCK_STREAM, 0, true);
	listener6 = make(AF_INET6, SOCK_STREAM, 0, false);
	set(listener6, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	set(listener, SOL_SOCKET, SO_REUSEADDR, 1);
	set(listener, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(listener, IPPROTO_TCP, TCP_KEEPIDLE, 55);
	set(listener, IPPROTO_TCP, TCP_NODELAY, 1);
	set(listener, SOL_SOCKET, SO_RCVBUF, 30000);
	require(!listen(listener, 33) && !listen(listener6, 5), "listen");
	fresh = make(AF_INET, SOCK_STREAM, 0, false);
	bound = make(AF_INET, SOCK_STREAM, 0, true);
	udp = make(AF_INET, SOCK_DGRAM, 0, true);
	udp6 = make(AF_INET6, SOCK_DGRAM, 0, true);
	set(udp6, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	require(!setsockopt(udp, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)),
		"filter");
	connected = make(AF_INET, SOCK_DGRAM, 0, false);
	udp_address = local(udp);
	require(!connect(connected, &udp_address.any, sizeof(udp_address)), "connect");
	before[0] = local(listener);
	before[1] = local(listener6);
	before[2] = local(bound);
	before[3] = local(connected);
	victim_ready();

	union address after[4] = { local(listener), local(listener6), local(bound),
				   local(connected) };
	require(!memcmp(before, after, sizeof(before)), "addresses");
	require_accepts(listener);
	require_accepts(listener6);
	require(get(listener6, IPPROTO_IPV6, IPV6_V6ONLY) == 1, "v6only");
	require(get(listener, SOL_SOCKET, SO_REUSEADDR) == 1, "reuseaddr");
	require(get(bound, SOL_SOCKET, SO_REUSEADDR) == 0, "reuseaddr of another");
	require(get(listener, SOL_SOCKET, SO_KEEPALIVE) == 1, "keepalive");
	require(get(listener, IPPROTO_TCP, TCP_KEEPIDLE) == 55, "keepidle");
	require(get(listener, IPPROTO_TCP, TCP_NODELAY) == 1, "nodelay");
	require(get(listener, SOL_SOCKET, SO_RCVBUF) == 60000, "receive buffer");
	require(get(udp6, IPPROTO_IPV6, IPV6_RECVPKTINFO) == 1, "pktinfo");
	require(!getsockopt(udp, SOL_SOCKET, SO_GET_FILTER, NULL, &count) && count == 1, "filter");
	require(write(connected, "hi", 2) == 2 && recv(udp, buf, sizeof(buf), 0) == 2, "datagram");
	require(!listen(bound, 1), "listen on the bound one");
	require_accepts(bound);
	require(!connect(fresh, &before[0].any, sizeof(before[0])), "connect the new one");
	victim_pass();
}
