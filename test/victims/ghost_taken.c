// SPDX-License-Identifier: GPL-2.0
/* victim: dump="--link-remap" ignore=fd */
/* The name of a deleted or replaced file leads to another one by now: neither is touched by the
 * restore (the kernel then shows the lost file by another name). */
#include "victim.h"

#include <sys/stat.h>

static void take_name(const char *suffix)
{
	char from[512], to[512];
	int fd = victim_open("new", O_RDWR | O_CREAT);

	require(write(fd, "yours", 5) == 5 && !close(fd), "write");
	victim_path(from, sizeof(from), "new");
	victim_path(to, sizeof(to), suffix);
	require(!rename(from, to), "rename over");
}

static void check_taken(const char *suffix)
{
	char text[16];
	int fd = victim_open(suffix, O_RDONLY);

	require(read(fd, text, 9) == 5 && !memcmp(text, "yours", 5), "the file in its place");
}

int main(int argc, char **argv)
{
	char path[512], other[512], text[16];
	struct stat st;
	int gone, linked;

	victim_begin(argc, argv);
	gone = victim_open("gone", O_RDWR | O_CREAT);
	linked = victim_open("linked", O_RDWR | O_CREAT);
	require(write(gone, "mine", 4) == 4 && write(linked, "ours", 4) == 4, "write");
	victim_path(path, sizeof(path), "linked");
	victim_path(other, sizeof(other), "second");
	require(!link(path, other), "link");
	take_name("gone");
	take_name("linked");

	victim_ready();

	require(pread(gone, text, 9, 0) == 4 && !memcmp(text, "mine", 4), "deleted file");
	require(!fstat(gone, &st) && !st.st_nlink, "links");
	require(pread(linked, text, 9, 0) == 4 && !memcmp(text, "ours", 4), "replaced file");
	require(!fstat(linked, &st) && st.st_nlink == 1, "links");
	check_taken("gone");
	check_taken("linked");
	victim_pass();
}
