// SPDX-License-Identifier: GPL-2.0
/* Deleted files: content, position and sharing of the inode; a hole; a mapping. */
#include "victim.h"

#include <sys/stat.h>

enum { HOLE = 8 << 20 };

static int open_deleted(const char *suffix, int flags)
{
	char path[512];
	int fd = victim_open(suffix, flags | O_CREAT);

	victim_path(path, sizeof(path), suffix);
	require(!unlink(path), "unlink %s", path);
	return fd;
}

static int open_again(int fd, int flags)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags);
	require(again >= 0, "open %s", path);
	return again;
}

int main(int argc, char **argv)
{
	char text[32] = "", *map;
	int plain, reader, sparse, mapped;
	struct stat before, after;

	victim_begin(argc, argv);
	plain = open_deleted("plain", O_RDWR | O_APPEND);
	require(write(plain, "ghost", 5) == 5, "write");
	reader = open_again(plain, O_RDONLY);
	require(lseek(reader, 2, SEEK_SET) == 2, "seek");
	require(!fchmod(plain, 0640) && !fchown(plain, 1, 2), "mode and owner");
	sparse = open_deleted("sparse", O_RDWR);
	require(pwrite(sparse, "far", 3, HOLE) == 3 && pwrite(sparse, "near", 4, 0) == 4, "write");
	mapped = open_deleted("mapped", O_RDWR);
	require(!ftruncate(mapped, 4 * PAGE), "size");
	map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0);
	require(map != MAP_FAILED, "mmap");
	victim_fill(map, 4 * PAGE, 7);
	close(mapped);
	require(!fstat(plain, &before), "stat");

	victim_ready();

	require(!fstat(plain, &after) && after.st_mode == before.st_mode && after.st_uid == 1 &&
			after.st_gid == 2 && !after.st_nlink,
		"mode %o, owner %d:%d, links %d", after.st_mode, after.st_uid, after.st_gid,
		(int)after.st_nlink);
	require(after.st_mtim.tv_sec == before.st_mtim.tv_sec, "time of the last change");
	require(write(plain, "!", 1) == 1, "append");
	require(read(reader, text, 32) == 4 && !memcmp(text, "ost!", 4), "shared inode: %s", text);
	require(pread(sparse, text, 3, HOLE) == 3 && !memcmp(text, "far", 3), "after the hole");
	require(pread(sparse, text, 6, 0) == 6 && !memcmp(text, "near\0", 5) && !text[5],
		"before the hole");
	require(!fstat(sparse, &after) && after.st_size == HOLE + 3, "size");
	require(after.st_blocks * 512 < HOLE / 2, "the hole is filled");
	require_filled(map, 4 * PAGE, 7);
	victim_pass();
}
