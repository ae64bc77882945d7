// SPDX-License-Identifier: GPL-2.0
/* O_PATH descriptors: of a file, a directory, a symbolic link and a FIFO. */
#include "victim.h"

#include <sys/stat.h>

static int open_path(const char *suffix, int flags)
{
	char path[512];
	int fd;

	victim_path(path, sizeof(path), suffix);
	fd = open(path, O_PATH | flags);
	require(fd >= 0, "open %s", path);
	return fd;
}

int main(int argc, char **argv)
{
	int file, directory, link, fifo, again;
	char path[512], text[64] = "";
	struct stat st;

	victim_begin(argc, argv);
	close(victim_open("file", O_CREAT | O_RDWR));
	victim_path(path, sizeof(path), "link");
	require(!symlink("nowhere", path), "symlink");
	victim_path(path, sizeof(path), "fifo");
	require(!mkfifo(path, 0600), "mkfifo");
	victim_path(path, sizeof(path), "dir");
	require(!mkdir(path, 0700), "mkdir");
	file = open_path("file", 0);
	link = open_path("link", O_NOFOLLOW);
	fifo = open_path("fifo", O_CLOEXEC);
	directory = open_path("dir", O_DIRECTORY);

	victim_ready();

	require(read(file, text, 1) < 0 && errno == EBADF, "no reading");
	require(readlinkat(link, "", text, sizeof(text)) == 7 && !strcmp(text, "nowhere"), "link");
	require(!fstat(fifo, &st) && S_ISFIFO(st.st_mode), "fifo");
	require(fcntl(fifo, F_GETFD) == FD_CLOEXEC, "close-on-exec");
	again = openat(directory, "made", O_CREAT | O_RDWR, 0600);
	require(again >= 0, "openat");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	again = open(path, O_RDWR);
	require(again >= 0 && write(again, "x", 1) == 1, "open again");
	victim_pass();
}
