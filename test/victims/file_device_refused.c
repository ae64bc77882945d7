// SPDX-License-Identifier: GPL-2.0
/* victim: modes=eager refused="/dev/userfaultfd" */
/* A device whose descriptor may mean anything is refused by its name. */
#include "victim.h"

int main(int argc, char **argv)
{
	int fd;

	victim_begin(argc, argv);
	fd = open("/dev/userfaultfd", O_RDWR);
	if (fd < 0)
		victim_skip("no /dev/userfaultfd");
	victim_ready();
	require(fcntl(fd, F_GETFD) >= 0, "the descriptor");
	victim_pass();
}
