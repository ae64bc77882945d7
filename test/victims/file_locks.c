// SPDX-License-Identifier: GPL-2.0
/* victim: dump="--file-locks" restore="--file-locks" */
/* File locks: of the process, of the description, flock; also on a file that is mapped (closing any
 * descriptor of it would drop the process's). Asked by a child, which has none of them. */
#include "victim.h"

#include <sys/file.h>
#include <sys/wait.h>

static struct flock range(short type, off_t start, off_t len)
{
	return (struct flock){
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len
	};
}

static void lock(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock wanted = range(type, start, len);

	require(!fcntl(fd, cmd, &wanted), "lock");
}

/* What is in the way of a write lock of one byte at `at`? */
static short type_at(const char *suffix, off_t at)
{
	struct flock wanted = range(F_WRLCK, at, 1);
	int fd = victim_open(suffix, O_RDWR);

	require(!fcntl(fd, F_GETLK, &wanted), "F_GETLK");
	close(fd);
	return wanted.l_type;
}

static bool flock_is_held(const char *suffix, int how)
{
	int fd = victim_open(suffix, O_RDWR);
	bool held = flock(fd, how | LOCK_NB) < 0;

	close(fd);
	return held;
}

static void check_all(void)
{
	require(type_at("posix", 0) == F_UNLCK && type_at("posix", 10) == F_WRLCK &&
			type_at("posix", 19) == F_WRLCK && type_at("posix", 20) == F_UNLCK &&
			type_at("posix", 30) == F_RDLCK && type_at("posix", 1 << 30) == F_RDLCK,
		"locks of the process");
	require(type_at("ofd", 5) == F_WRLCK && type_at("ofd", 6) == F_UNLCK, "of the description");
	require(flock_is_held("flock", LOCK_SH), "flock");
	require(!flock_is_held("shared", LOCK_SH) && flock_is_held("shared", LOCK_EX),
		"shared flock");
}

int main(int argc, char **argv)
{
	int posix, ofd, exclusive, shared, status;
	char *map;
	pid_t child;

	victim_begin(argc, argv);
	posix = victim_open("posix", O_RDWR | O_CREAT);
	ofd = victim_open("ofd", O_RDWR | O_CREAT);
	exclusive = victim_open("flock", O_RDWR | O_CREAT);
	shared = victim_open("shared", O_RDWR | O_CREAT);
	require(!ftruncate(posix, PAGE), "size");
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, posix, 0);
	require(map != MAP_FAILED, "mmap");
	lock(posix, F_SETLK, F_WRLCK, 10, 10);
	lock(posix, F_SETLK, F_RDLCK, 30, 0);
	lock(ofd, F_OFD_SETLK, F_WRLCK, 5, 1);
	require(!flock(exclusive, LOCK_EX) && !flock(shared, LOCK_SH), "flock");

	victim_ready();

	child = fork();
	require(child >= 0, "fork");
	if (!child) {
		close(ofd);
		close(exclusive);
		close(shared);
		check_all();
		_exit(0);
	}
	require(waitpid(child, &status, 0) == child && !status, "the child found a lock missing");
	victim_pass();
}
