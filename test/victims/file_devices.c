// SPDX-License-Identifier: GPL-2.0
/* Devices whose descriptors hold no state. */
#include "victim.h"

int main(int argc, char **argv)
{
	int null, zero, full, random, urandom;
	char text[8] = "abcdefg";

	victim_begin(argc, argv);
	null = open("/dev/null", O_RDWR | O_APPEND);
	zero = open("/dev/zero", O_RDONLY);
	full = open("/dev/full", O_WRONLY | O_NONBLOCK);
	random = open("/dev/random", O_RDONLY);
	urandom = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	require(null >= 0 && zero >= 0 && full >= 0 && random >= 0 && urandom >= 0, "open");

	victim_ready();

	require(read(null, text, 1) == 0 && write(null, text, 1) == 1, "/dev/null");
	require(read(zero, text, 7) == 7 && !text[0] && !text[6], "/dev/zero");
	require(write(full, text, 1) < 0 && errno == ENOSPC, "/dev/full");
	require(read(random, text, 1) == 1 && read(urandom, text, 1) == 1, "random");
	require(fcntl(full, F_GETFL) & O_NONBLOCK, "O_NONBLOCK");
	victim_pass();
}
