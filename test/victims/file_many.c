// SPDX-License-Identifier: GPL-2.0
/* Numbers in a mixed order, so that what is restored stands in the way of what is to come. */
#include "victim.h"

enum { FILES = 150, FIRST = 3 };

static int number_of(int i)
{
	return FIRST + (i * 77 + 13) % FILES;
}

int main(int argc, char **argv)
{
	victim_begin(argc, argv);
	for (int i = 0; i < FILES; i++) {
		char suffix[32];
		int fd;

		snprintf(suffix, sizeof(suffix), "f%d", i);
		fd = victim_open(suffix, O_RDWR | O_CREAT);
		require(dup2(fd, 500 + i) == 500 + i && !close(fd), "dup2");
	}
	for (int i = 0; i < FILES; i++) {
		require(dup2(500 + i, number_of(i)) == number_of(i) && !close(500 + i), "dup2");
		require(write(number_of(i), &i, sizeof(i)) == sizeof(i), "write");
		if (i % 2)
			fcntl(number_of(i), F_SETFD, FD_CLOEXEC);
	}

	victim_ready();

	for (int i = 0; i < FILES; i++) {
		int value = -1;

		require(pread(number_of(i), &value, sizeof(value), 0) == sizeof(value) &&
				value == i,
			"fd %d is file %d, not %d", number_of(i), value, i);
		require(fcntl(number_of(i), F_GETFD) == i % 2, "close-on-exec of %d", number_of(i));
	}
	victim_pass();
}
