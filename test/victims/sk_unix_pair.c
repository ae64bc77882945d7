// SPDX-License-Identifier: GPL-2.0
/* Socket pairs of each type with unread data; half closed; a peer that is gone; options. */
#include <sys/socket.h>
#include <sys/un.h>

#include "victim.h"

static char big[100000];

static void require_data(int fd, const void *data, size_t len)
{
	static char buf[sizeof(big) + 1];
	ssize_t got = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	require(got == (ssize_t)len && !memcmp(buf, data, len), "%zd bytes, %zu wanted", got, len);
}

static void require_nothing(int fd)
{
	char buf[1];

	require(recv(fd, buf, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN, "more data");
}

int main(int argc, char **argv)
{
	int stream[2], packet[2], datagram[2], half[2], orphan[2], on = 1, value;
	socklen_t len = sizeof(value);
	struct timeval timeout = { 3, 500000 };

	victim_begin(argc, argv);
	require(!socketpair(AF_UNIX, SOCK_STREAM, 0, stream) &&
			!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, packet) &&
			!socketpair(AF_UNIX, SOCK_DGRAM, 0, datagram) &&
			!socketpair(AF_UNIX, SOCK_STREAM, 0, half) &&
			!socketpair(AF_UNIX, SOCK_STREAM, 0, orphan),
		"socketpair");
	victim_fill(big, sizeof(big), 7);
	require(write(stream[0], "hello", 5) == 5 && write(stream[0], "world", 5) == 5, "write");
	require(write(packet[1], "a", 1) == 1 && send(packet[1], "", 0, 0) == 0 &&
			write(packet[1], "bcd", 3) == 3 && send(packet[1], "", 0, 0) == 0,
		"write");
	require(write(packet[0], big, sizeof(big)) == sizeof(big), "write");
	require(write(datagram[0], "one", 3) == 3 && write(datagram[0], "", 0) == 0, "write");
	require(write(half[0], "last", 4) == 4 && !shutdown(half[0], SHUT_WR), "shutdown");
	require(write(orphan[1], "bye", 3) == 3 && !close(orphan[1]), "close");
	setsockopt(stream[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	setsockopt(stream[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	victim_ready();

	require_data(stream[1], "helloworld", 10);
	require_nothing(stream[1]);
	require_data(packet[0], "a", 1);
	require_data(packet[0], "", 0);
	require_data(packet[0], "bcd", 3);
	require_data(packet[0], "", 0);
	require_nothing(packet[0]);
	require_data(packet[1], big, sizeof(big));
	require_data(datagram[1], "one", 3);
	require_data(half[1], "last", 4);
	require_data(half[1], "", 0);
	require(write(half[1], "back", 4) == 4, "the other way is open");
	require_data(half[0], "back", 4);
	require_data(orphan[0], "bye", 3);
	require_data(orphan[0], "", 0);
	require(send(orphan[0], "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "peer is gone");
	require(write(stream[1], "again", 5) == 5, "write");
	require_data(stream[0], "again", 5);
	require(!getsockopt(stream[0], SOL_SOCKET, SO_PASSCRED, &value, &len) && value,
		"SO_PASSCRED");
	len = sizeof(timeout);
	require(!getsockopt(stream[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, &len) &&
			timeout.tv_sec == 3,
		"SO_RCVTIMEO");
	require(!getsockopt(stream[1], SOL_SOCKET, SO_PEEK_OFF, &value, &len) && value == -1,
		"SO_PEEK_OFF is %d", value);
	victim_pass();
}
