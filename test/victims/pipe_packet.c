// SPDX-License-Identifier: GPL-2.0
/* Packet mode (O_DIRECT): packets stay packets, those to come as well. */
#include "victim.h"

static void expect(int fd, const char *packet)
{
	char got[64];
	ssize_t len = read(fd, got, sizeof(got));

	require(len == (ssize_t)strlen(packet) && !memcmp(got, packet, (size_t)len),
		"packet of %zd bytes instead of \"%s\"", len, packet);
}

int main(int argc, char **argv)
{
	int several[2], one[2], drained[2];

	victim_begin(argc, argv);
	require(!pipe2(several, O_DIRECT) && !pipe2(one, O_DIRECT | O_NONBLOCK) &&
			!pipe2(drained, O_DIRECT),
		"pipe2");
	require(write(several[1], "first", 5) == 5 && write(several[1], "2", 1) == 1 &&
			write(several[1], "third packet", 12) == 12,
		"write");
	require(write(one[1], "alone", 5) == 5, "write");
	require(write(drained[1], "ab", 2) == 2, "write");
	expect(drained[0], "ab");

	victim_ready();

	require(write(several[1], "4th", 3) == 3, "write");
	require(write(one[1], "joined", 6) == 6, "write");
	expect(several[0], "first");
	expect(several[0], "2");
	expect(several[0], "third packet");
	expect(several[0], "4th");
	expect(one[0], "alone");
	expect(one[0], "joined");
	require(write(drained[1], "x", 1) == 1 && write(drained[1], "y", 1) == 1, "write");
	expect(drained[0], "x");
	victim_pass();
}
