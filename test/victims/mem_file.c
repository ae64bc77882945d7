// SPDX-License-Identifier: GPL-2.0
/* File mappings: private with and without copied pages, shared, read-only, with an offset. */
#include "victim.h"

enum { LEN = 32 * PAGE };

static char *map(int fd, int prot, int flags, off_t offset, size_t len)
{
	char *at = mmap(NULL, len, prot, flags, fd, offset);

	require(at != MAP_FAILED, "mmap");
	return at;
}

static void write_file(int fd, uint64_t seed)
{
	static uint64_t content[LEN / 8];

	victim_fill(content, LEN, seed);
	require(write(fd, content, LEN) == LEN, "write");
}

int main(int argc, char **argv)
{
	char *cow, *shared, *window, *plain;
	int fd, other;

	victim_begin(argc, argv);
	fd = victim_open("private", O_RDWR | O_CREAT | O_TRUNC);
	other = victim_open("shared", O_RDWR | O_CREAT | O_TRUNC);
	write_file(fd, 1);
	write_file(other, 2);
	cow = map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0, LEN);
	for (size_t at = 0; at < LEN; at += 4 * PAGE)
		victim_fill(cow + at, PAGE, at + 3);
	shared = map(other, PROT_READ | PROT_WRITE, MAP_SHARED, 0, LEN);
	victim_fill(shared, PAGE, 4);
	window = map(fd, PROT_READ, MAP_PRIVATE, 3 * PAGE, 2 * PAGE);
	plain = map(fd, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0, LEN);
	close(other);

	victim_ready();

	require_filled(plain, LEN, 1);
	require(!memcmp(window, plain + 3 * PAGE, 2 * PAGE), "mapping with an offset");
	for (size_t at = 0; at < LEN; at += PAGE) {
		if (at % (4 * PAGE))
			require(!memcmp(cow + at, plain + at, PAGE), "page of the file at %zu", at);
		else
			require_filled(cow + at, PAGE, at + 3);
	}
	require_filled(shared, PAGE, 4);
	victim_fill(shared + PAGE, PAGE, 5);
	other = victim_open("shared", O_RDONLY);
	require(pread(other, shared, PAGE, PAGE) == PAGE, "read");
	require_filled(shared, PAGE, 5);
	victim_fill(cow, PAGE, 6);
	require_filled(plain, LEN, 1);
	victim_pass();
}
