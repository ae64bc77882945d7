// SPDX-License-Identifier: GPL-2.0
/* System calls meet absent pages: write(2) from them, read(2) into them, and a brk heap that grows
 * on. */
#include "victim.h"

enum { LEN = 1 << 20 };

int main(int argc, char **argv)
{
	char *from, *into, *heap;
	int fd;

	victim_begin(argc, argv);
	from = victim_map(LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	victim_fill(from, LEN, 1);
	into = victim_map(LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	victim_fill(into, LEN, 2);
	heap = sbrk(LEN);
	require(heap != (void *)-1, "sbrk");
	victim_fill(heap, LEN, 3);
	fd = victim_open("data", O_RDWR | O_CREAT | O_TRUNC);

	victim_ready();

	require(write(fd, from, LEN) == LEN, "write from absent pages");
	require(pread(fd, into, LEN, 0) == LEN, "read into absent pages");
	require_filled(into, LEN, 1);
	require(sbrk(0) == heap + LEN, "break moved from %p to %p", heap + LEN, sbrk(0));
	require(sbrk(LEN) == heap + LEN, "sbrk again");
	victim_fill(heap + LEN, LEN, 4);
	require_filled(heap, LEN, 3);
	require_filled(heap + LEN, LEN, 4);
	victim_pass();
}
