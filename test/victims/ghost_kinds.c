// SPDX-License-Identifier: GPL-2.0
/* Deleted things that are no regular files: a directory (as working directory too), a FIFO with
 * data, a symbolic link, a device; and a file in a directory that is gone with it. */
#include "victim.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

int main(int argc, char **argv)
{
	char base[512], path[600], text[64] = "";
	int dir, fifo, link, device, inside;
	struct stat st;

	victim_begin(argc, argv);
	victim_path(base, sizeof(base), "dir");
	require(!mkdir(base, 0751), "mkdir");
	dir = open(base, O_RDONLY | O_DIRECTORY);
	require(dir >= 0 && !fchdir(dir), "fchdir");
	snprintf(path, sizeof(path), "%s/inside", base);
	inside = open(path, O_RDWR | O_CREAT, 0600);
	require(inside >= 0 && write(inside, "inside", 6) == 6 && !unlink(path), "inside");
	require(!rmdir(base), "rmdir");
	victim_path(path, sizeof(path), "fifo");
	require(!mkfifo(path, 0600), "mkfifo");
	fifo = open(path, O_RDWR);
	require(fifo >= 0 && write(fifo, "data", 4) == 4 && !unlink(path), "fifo");
	victim_path(path, sizeof(path), "link");
	require(!symlink("target", path), "symlink");
	link = open(path, O_PATH | O_NOFOLLOW);
	require(link >= 0 && !unlink(path), "link");
	victim_path(path, sizeof(path), "device");
	if (mknod(path, S_IFCHR | 0600, makedev(1, 5)))
		victim_skip("no device nodes here");
	device = open(path, O_RDONLY);
	if (device < 0)
		victim_skip("no devices in this file system");
	require(!unlink(path), "device");

	victim_ready();

	require(!fstat(dir, &st) && S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0751, "mode");
	require(access("/proc/self/cwd/.", F_OK) == 0, "working directory");
	require(open("made", O_CREAT | O_RDWR, 0600) < 0 && errno == ENOENT, "it is deleted");
	require(pread(inside, text, 9, 0) == 6 && !memcmp(text, "inside", 6), "file inside");
	require(access(base, F_OK) < 0, "the directory came back");
	require(read(fifo, text, 9) == 4 && !memcmp(text, "data", 4), "fifo");
	require(readlinkat(link, "", text, 9) == 6 && !memcmp(text, "target", 6), "link");
	require(read(device, text, 4) == 4 && !text[0], "device");
	victim_pass();
}
