// SPDX-License-Identifier: GPL-2.0
/* victim: modes=eager refused="--link-remap" */
/* Without --link-remap no name is made, and the dump is refused. */
#include "victim.h"

#include <sys/stat.h>

int main(int argc, char **argv)
{
	char path[512], other[512];
	struct stat st;
	int fd;

	victim_begin(argc, argv);
	fd = victim_open("lost", O_RDWR | O_CREAT);
	victim_path(path, sizeof(path), "lost");
	victim_path(other, sizeof(other), "kept");
	require(!link(path, other) && !unlink(path), "link");
	victim_ready();
	require(!fstat(fd, &st) && st.st_nlink == 1, "links");
	victim_pass();
}
