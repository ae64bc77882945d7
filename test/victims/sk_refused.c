// SPDX-License-Identifier: GPL-2.0
/* victim: modes=eager refused="--tcp-close" */
/* A TCP connection is not moved yet: the dump says so, and unread data of others stays unread. */
#include <netinet/in.h>
#include <sys/socket.h>

#include "victim.h"

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int pair[2], listener, client, accepted;
	char buf[16];

	victim_begin(argc, argv);
	require(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), "socketpair");
	require(write(pair[0], "one", 3) == 3 && write(pair[0], "three", 5) == 5, "write");
	listener = socket(AF_INET, SOCK_STREAM, 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	require(!bind(listener, (void *)&address, len) && !listen(listener, 5) &&
			!getsockname(listener, (void *)&address, &len) &&
			!connect(client, (void *)&address, len),
		"connect");
	accepted = accept(listener, NULL, NULL);
	require(accepted >= 0, "accept");
	victim_ready();
	require(write(client, "hello", 5) == 5 && read(accepted, buf, sizeof(buf)) == 5, "talk");
	require(recv(pair[1], buf, sizeof(buf), MSG_PEEK) == 3, "peek at the first");
	require(read(pair[1], buf, sizeof(buf)) == 3 && read(pair[1], buf, sizeof(buf)) == 5,
		"both packets are there");
	victim_pass();
}
