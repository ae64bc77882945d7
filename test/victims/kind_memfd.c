// SPDX-License-Identifier: GPL-2.0
/* Content with holes, seals, a mapping, two descriptions of one file, mode, huge pages. */
#include "victim.h"

enum { SIZE = 64 * PAGE, HUGE_SIZE = 2 << 20 };

int main(int argc, char **argv)
{
	int sealed, plain, again, read_only, huge;
	char *shared, *huge_map = NULL, path[64], buf[16];
	struct stat st;

	victim_begin(argc, argv);
	sealed = memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	require(sealed >= 0 && write(sealed, "constant", 8) == 8, "write");
	require(!fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW), "seal");

	plain = memfd_create("plain name", 0);
	require(!ftruncate(plain, SIZE + 100) && !fchmod(plain, 0640), "size");
	shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, plain, 0);
	require(shared != MAP_FAILED, "map");
	victim_fill(shared + 8 * PAGE, 3 * PAGE, 11);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", plain);
	read_only = open(path, O_RDONLY);
	again = dup(plain);
	require(lseek(plain, 123, SEEK_SET) == 123 && lseek(read_only, 45, SEEK_SET) == 45, "seek");

	huge = memfd_create("huge", MFD_HUGETLB);
	if (huge >= 0 && !ftruncate(huge, HUGE_SIZE)) {
		huge_map = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, huge, 0);
		if (huge_map == MAP_FAILED)
			huge_map = NULL; /* none reserved */
		else
			victim_fill(huge_map + PAGE, PAGE, 12);
	}
	victim_ready();

	require(pread(sealed, buf, 8, 0) == 8 && !memcmp(buf, "constant", 8), "content");
	require(fcntl(sealed, F_GET_SEALS) == (F_SEAL_WRITE | F_SEAL_GROW), "seals");
	require(pwrite(sealed, "x", 1, 0) < 0 && errno == EPERM, "sealed");
	require(fcntl(plain, F_GET_SEALS) == F_SEAL_SEAL, "no seals allowed");
	require(!fstat(plain, &st) && st.st_size == SIZE + 100 && (st.st_mode & 0777) == 0640,
		"size %ld, mode %o", (long)st.st_size, st.st_mode);
	require_filled(shared + 8 * PAGE, 3 * PAGE, 11);
	require(shared[0] == 0 && shared[SIZE - 1] == 0, "holes");
	shared[5] = 'm';
	require(pread(read_only, buf, 1, 5) == 1 && buf[0] == 'm', "one file behind all");
	require(lseek(again, 0, SEEK_CUR) == 123 && lseek(read_only, 0, SEEK_CUR) == 45,
		"positions");
	require(write(read_only, "x", 1) < 0 && errno == EBADF, "read only");
	if (huge_map) {
		require_filled(huge_map + PAGE, PAGE, 12);
		require(!fstat(huge, &st) && st.st_blksize == HUGE_SIZE, "huge pages");
	}
	victim_pass();
}
