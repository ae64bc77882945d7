// SPDX-License-Identifier: GPL-2.0
/* Datagrams between bound sockets, with their senders' names; a relative name. */
#include <libgen.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "victim.h"

static struct sockaddr_un name_of(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	strncpy(un.sun_path, path, sizeof(un.sun_path) - 1);
	return un;
}

static int make(const char *path)
{
	struct sockaddr_un un = name_of(path);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	unlink(path);
	require(!bind(fd, (void *)&un, sizeof(un)), "bind %s", path);
	return fd;
}

static void join(int fd, const char *path)
{
	struct sockaddr_un un = name_of(path);

	require(!connect(fd, (void *)&un, sizeof(un)), "connect to %s", path);
}

static void require_datagram(int fd, const char *text, const char *sender)
{
	struct sockaddr_un un = { 0 };
	socklen_t len = sizeof(un);
	char buf[64] = "";
	ssize_t got = recvfrom(fd, buf, sizeof(buf), MSG_DONTWAIT, (void *)&un, &len);

	require(got == (ssize_t)strlen(text) && !strcmp(buf, text), "got %zd: %s", got, buf);
	require(!strcmp(un.sun_path, sender), "sent by %s", un.sun_path);
}

int main(int argc, char **argv)
{
	char prefix[512], *base;
	int server, client, unnamed, gone, to_gone;

	victim_begin(argc, argv);
	snprintf(prefix, sizeof(prefix), "%s", victim_prefix);
	require(!chdir(dirname(prefix)), "chdir");
	snprintf(prefix, sizeof(prefix), "%s", victim_prefix);
	base = basename(prefix);
	require(strlen(base) < 64, "short names");

	char server_name[96], client_name[96], gone_name[96];
	snprintf(server_name, sizeof(server_name), "%s.server", base);
	snprintf(client_name, sizeof(client_name), "%s.client", base);
	snprintf(gone_name, sizeof(gone_name), "./%s.gone", base);
	server = make(server_name);
	client = make(client_name);
	gone = make(gone_name);
	unnamed = socket(AF_UNIX, SOCK_DGRAM, 0);
	to_gone = socket(AF_UNIX, SOCK_DGRAM, 0);
	join(client, server_name);
	join(unnamed, server_name);
	join(to_gone, gone_name);
	require(write(client, "first", 5) == 5 && write(unnamed, "second", 6) == 6, "write");
	victim_ready();

	require_datagram(server, "first", client_name);
	require_datagram(server, "second", "");
	require(write(client, "more", 4) == 4, "write");
	require_datagram(server, "more", client_name);
	require(write(to_gone, "x", 1) == 1, "write");
	require_datagram(gone, "x", "");
	require(!unlink(server_name) && !unlink(client_name) && !unlink(gone_name), "unlink");
	victim_pass();
}
