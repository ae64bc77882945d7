// SPDX-License-Identifier: GPL-2.0
/* victim: dump="--link-remap" */
/* A file whose name is gone while another name is left. */
#include "victim.h"

#include <sys/stat.h>

static int open_linked(const char *suffix, const char *other)
{
	char path[512], link_path[512];
	int fd = victim_open(suffix, O_RDWR | O_CREAT);

	victim_path(path, sizeof(path), suffix);
	victim_path(link_path, sizeof(link_path), other);
	require(!link(path, link_path) && !unlink(path), "link");
	return fd;
}

int main(int argc, char **argv)
{
	char text[16] = "", path[512];
	int lost, twin;
	struct stat a, b;

	victim_begin(argc, argv);
	lost = open_linked("lost", "kept");
	require(write(lost, "linked", 6) == 6, "write");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", lost);
	twin = open(path, O_RDONLY);
	require(twin >= 0, "open again");

	victim_ready();

	require(read(twin, text, 9) == 6 && !memcmp(text, "linked", 6), "content");
	victim_path(path, sizeof(path), "kept");
	require(!fstat(lost, &a) && !stat(path, &b) && a.st_ino == b.st_ino && a.st_nlink == 1,
		"the same inode, links %d", (int)a.st_nlink);
	victim_path(path, sizeof(path), "lost");
	require(access(path, F_OK) < 0, "the lost name came back");
	victim_pass();
}
