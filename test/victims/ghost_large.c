// SPDX-License-Identifier: GPL-2.0
/* victim: modes=eager refused="--ghost-limit" dump="--ghost-limit 64K" */
/* A deleted file with more content than is allowed is refused. */
#include "victim.h"

int main(int argc, char **argv)
{
	static char content[128 << 10];
	char path[512];
	int fd;

	victim_begin(argc, argv);
	memset(content, 'x', sizeof(content));
	fd = victim_open("large", O_RDWR | O_CREAT);
	require(write(fd, content, sizeof(content)) == sizeof(content), "write");
	victim_path(path, sizeof(path), "large");
	require(!unlink(path), "unlink");
	victim_ready();
	require(pread(fd, content, 1, sizeof(content) - 1) == 1 && content[0] == 'x', "content");
	victim_pass();
}
