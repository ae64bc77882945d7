// SPDX-License-Identifier: GPL-2.0
/* Regular files: position, access mode, O_APPEND, one description under several numbers, several
 * descriptions of one file, close-on-exec, a number far up. */
#include "victim.h"

enum { FAR = 900 };

static void check_position(int fd, off_t expected)
{
	off_t at = lseek(fd, 0, SEEK_CUR);

	require(at == expected, "fd %d is at %jd, not %jd", fd, (intmax_t)at, (intmax_t)expected);
}

int main(int argc, char **argv)
{
	int both, append, reader, writer, twin, far;
	char text[32] = "";

	victim_begin(argc, argv);
	both = victim_open("data", O_RDWR | O_CREAT | O_TRUNC);
	require(write(both, "0123456789", 10) == 10, "write");
	require(lseek(both, 3, SEEK_SET) == 3, "seek");
	append = victim_open("data", O_WRONLY | O_APPEND);
	reader = victim_open("data", O_RDONLY);
	require(lseek(reader, 1000, SEEK_SET) == 1000, "seek beyond the end");
	writer = victim_open("other", O_WRONLY | O_CREAT | O_SYNC | O_CLOEXEC);
	twin = dup(both);
	far = fcntl(both, F_DUPFD_CLOEXEC, FAR);
	require(twin >= 0 && far == FAR, "dup");

	victim_ready();

	check_position(both, 3);
	check_position(reader, 1000);
	require(lseek(far, 5, SEEK_SET) == 5, "seek by the far number");
	check_position(both, 5);
	check_position(twin, 5);
	require(read(twin, text, 2) == 2 && !memcmp(text, "56", 2), "read, got %s", text);
	check_position(far, 7);
	require(write(append, "x", 1) == 1, "append");
	check_position(append, 11);
	require(pread(both, text, sizeof(text), 0) == 11 && text[10] == 'x', "what was appended");
	require(write(reader, "x", 1) < 0 && errno == EBADF, "a reader cannot write");
	require(read(writer, text, 1) < 0 && errno == EBADF, "a writer cannot read");
	require(fcntl(writer, F_GETFL) & O_SYNC, "O_SYNC");
	require(fcntl(writer, F_GETFD) == FD_CLOEXEC && fcntl(far, F_GETFD) == FD_CLOEXEC &&
			!fcntl(both, F_GETFD),
		"close-on-exec");
	require(close(FAR) == 0 && close(FAR + 1) < 0, "numbers");
	victim_pass();
}
