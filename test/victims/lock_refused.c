// SPDX-License-Identifier: GPL-2.0
/* victim: modes=eager refused="--file-locks" */
/* A lock that nobody asked to keep. */
#include "victim.h"

#include <sys/file.h>

int main(int argc, char **argv)
{
	int fd;

	victim_begin(argc, argv);
	fd = victim_open("locked", O_RDWR | O_CREAT);
	require(!flock(fd, LOCK_EX), "flock");
	victim_ready();
	victim_pass();
}
