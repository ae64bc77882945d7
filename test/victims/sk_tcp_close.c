// SPDX-License-Identifier: GPL-2.0
/* victim: dump=--tcp-close restore=--tcp-close */
/* Connections come back closed; the listening socket goes on. */
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "victim.h"

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener, client, accepted, again;
	char buf[8];

	victim_begin(argc, argv);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	require(!bind(listener, (void *)&address, len) && !listen(listener, 5) &&
			!getsockname(listener, (void *)&address, &len),
		"listen");
	require(!connect(client, (void *)&address, len), "connect");
	accepted = accept(listener, NULL, NULL);
	require(accepted >= 0 && write(client, "hello", 5) == 5, "accept");
	victim_ready();

	/* Undumped, the data is there. */
	ssize_t got = read(accepted, buf, sizeof(buf));
	require(got == 5 || got == 0, "read %zd", got);
	again = socket(AF_INET, SOCK_STREAM, 0);
	require(!connect(again, (void *)&address, len), "connect");
	require(accept(listener, NULL, NULL) >= 0, "accept");
	victim_pass();
}
