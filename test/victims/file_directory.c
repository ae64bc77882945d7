// SPDX-License-Identifier: GPL-2.0
/* A directory read half-way goes on where it was: every entry once. */
#include "victim.h"

#include <dirent.h>
#include <sys/stat.h>

enum { ENTRIES = 200 };

static unsigned char seen[ENTRIES];

/* One small batch of getdents64(2); how many bytes came. */
static long read_some(int fd)
{
	union {
		char bytes[512];
		uint64_t align;
	} buf;
	long got = syscall(SYS_getdents64, fd, &buf, sizeof(buf));

	require(got >= 0, "getdents");
	for (long at = 0; at < got;) {
		struct dirent64 *entry = (struct dirent64 *)(buf.bytes + at);

		if (entry->d_name[0] == 'e')
			seen[atoi(entry->d_name + 1)]++;
		at += entry->d_reclen;
	}
	return got;
}

int main(int argc, char **argv)
{
	char path[512], name[600];
	int fd;

	victim_begin(argc, argv);
	victim_path(path, sizeof(path), "dir");
	require(!mkdir(path, 0755), "mkdir");
	for (int i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "%s/e%d", path, i);
		fd = open(name, O_CREAT | O_RDWR, 0600);
		require(fd >= 0, "create %s", name);
		close(fd);
	}
	fd = open(path, O_RDONLY | O_DIRECTORY);
	require(fd >= 0, "open %s", path);
	for (int i = 0; i < 3; i++)
		require(read_some(fd), "entries");

	victim_ready();

	while (read_some(fd))
		;
	for (int i = 0; i < ENTRIES; i++)
		require(seen[i] == 1, "entry %d came %d times", i, seen[i]);
	victim_pass();
}
