// SPDX-License-Identifier: GPL-2.0
/*
 * Connections that have ended: their sockets still tell their ports, but no longer have them, and
 * others may. One that was bound to a port by number keeps it, and so does one that never
 * connected.
 */
#include <netinet/in.h>
#include <sys/socket.h>

#include "victim.h"

/* An address of our own, where nobody else of this host's takes ports. */
static in_addr_t own_address(void)
{
	static in_addr_t address;

	if (!address)
		address = htonl(INADDR_LOOPBACK + ((uint32_t)getpid() << 8 & 0xffff00));
	return address;
}

static struct sockaddr_in name_of(int fd)
{
	struct sockaddr_in address = { 0 };
	socklen_t len = sizeof(address);

	require(!getsockname(fd, (void *)&address, &len), "name of %d", fd);
	return address;
}

static int open_bound(in_port_t port, bool is_reused)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = port,
				       .sin_addr.s_addr = own_address() };
	int fd = socket(AF_INET, SOCK_STREAM, 0), reused = is_reused;

	require(!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reused, sizeof(reused)), "reuse");
	require(!bind(fd, (void *)&address, sizeof(address)), "bind to port %u", ntohs(port));
	return fd;
}

/* A port that nobody has: only one that was asked for by number outlives a connection. */
static in_port_t free_port(void)
{
	int fd = open_bound(0, false);
	in_port_t port = name_of(fd).sin_port;

	close(fd);
	return port;
}

/* Both ends know of the end at once: it is a reset. */
static void reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	require(!setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) && !close(fd),
		"reset");
}

static int end_connection(int listener, int client)
{
	struct sockaddr_in address = name_of(listener);

	require(!connect(client, (void *)&address, sizeof(address)), "connect");
	reset(accept(listener, NULL, NULL));
	return client;
}

static bool is_taken(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool is = bind(fd, (void *)address, sizeof(*address)) && errno == EADDRINUSE;

	close(fd);
	return is;
}

int main(int argc, char **argv)
{
	int listener, ended, bound, idle, heir;
	struct sockaddr_in its, idles;
	char byte;

	victim_begin(argc, argv);
	listener = open_bound(0, true);
	require(!listen(listener, 5), "listen");
	ended = end_connection(listener, open_bound(0, false));
	bound = end_connection(listener, open_bound(free_port(), false));
	idle = open_bound(0, false);
	its = name_of(bound);
	idles = name_of(idle);
	heir = open_bound(name_of(ended).sin_port, false);
	require(!listen(heir, 5), "listen on the port of what has ended");
	victim_ready();

	require(!listen(heir, 7), "listen");
	require(read(ended, &byte, 1) <= 0, "an ended connection has a byte");
	require(is_taken(&its), "port %u is free", ntohs(its.sin_port));
	require(is_taken(&idles), "port %u is free", ntohs(idles.sin_port));
	require(!close(bound) && !is_taken(&its), "port %u is taken", ntohs(its.sin_port));
	require(!listen(idle, 1) && name_of(idle).sin_port == idles.sin_port, "listen");
	victim_pass();
}
