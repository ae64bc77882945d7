// SPDX-License-Identifier: GPL-2.0
/* victim: ignore=fd */
/* O_TMPFILE: a file that never had a name (its path is made up by the kernel, so it differs). */
#include "victim.h"

int main(int argc, char **argv)
{
	char text[16] = "";
	int fd;

	victim_begin(argc, argv);
	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	if (fd < 0)
		victim_skip("no O_TMPFILE here");
	require(write(fd, "nameless", 8) == 8, "write");
	victim_ready();
	require(lseek(fd, 0, SEEK_CUR) == 8, "position");
	require(pread(fd, text, 9, 0) == 8 && !memcmp(text, "nameless", 8), "content");
	victim_pass();
}
