// SPDX-License-Identifier: GPL-2.0
/* victim: dump=--file-locks restore=--file-locks */
/* POSIX, OFD and flock locks, one of each inherited by a child, and a lease. The POSIX-locked file
 * is mapped too: whoever closes any descriptor of it loses the lock. */
#include "victim.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

/* What a stranger sees when it wants bytes [start, start + len) of the file. */
static int stranger_wants(const char *suffix, int command, short type, off_t start, off_t len)
{
	pid_t pid = fork();
	int status;

	require(pid >= 0, "fork");
	if (!pid) {
		struct flock lock = { .l_type = type, .l_start = start, .l_len = len };
		int fd = victim_open(suffix, O_RDWR | O_CLOEXEC);

		if (command == LOCK_SH || command == LOCK_EX)
			_exit(flock(fd, command | LOCK_NB) ? errno : 0);
		_exit(fcntl(fd, command, &lock) ? errno : 0);
	}
	require(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "stranger");
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	struct flock range = { .l_type = F_WRLCK, .l_start = 100, .l_len = 50 };
	struct flock rest = { .l_type = F_RDLCK, .l_start = 7 };
	int posix, ofd, whole, lease;
	pid_t child;
	void *map;

	victim_begin(argc, argv);
	posix = victim_open("posix", O_RDWR | O_CREAT);
	ofd = victim_open("ofd", O_RDWR | O_CREAT);
	whole = victim_open("flock", O_RDWR | O_CREAT);
	lease = victim_open("lease", O_RDONLY | O_CREAT);
	require(!ftruncate(posix, PAGE), "truncate");
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, posix, 0);
	require(map != MAP_FAILED, "mmap");
	require(!fcntl(posix, F_SETLK, &range), "posix lock");
	require(!fcntl(ofd, F_OFD_SETLK, &rest), "ofd lock");
	require(!flock(whole, LOCK_EX), "flock");
	require(!fcntl(lease, F_SETLEASE, F_RDLCK), "lease");
	child = fork();
	require(child >= 0, "fork");
	if (!child)
		for (;;)
			pause();

	victim_ready();

	require(stranger_wants("posix", F_SETLK, F_RDLCK, 149, 1) == EAGAIN, "posix lock is gone");
	require(!stranger_wants("posix", F_SETLK, F_WRLCK, 150, 0), "posix lock is longer");
	require(!stranger_wants("posix", F_SETLK, F_WRLCK, 0, 100), "posix lock is earlier");
	require(stranger_wants("ofd", F_OFD_SETLK, F_WRLCK, 1 << 20, 1) == EAGAIN,
		"ofd lock is gone");
	require(!stranger_wants("ofd", F_OFD_SETLK, F_RDLCK, 7, 1), "ofd lock is exclusive");
	require(stranger_wants("flock", LOCK_SH, 0, 0, 0) == EWOULDBLOCK, "flock is gone");
	require(fcntl(lease, F_GETLEASE) == F_RDLCK, "lease");
	/* The child holds the same open file description: the lock outlives ours. */
	close(whole);
	require(stranger_wants("flock", LOCK_EX, 0, 0, 0) == EWOULDBLOCK, "flock was not shared");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	require(!stranger_wants("flock", LOCK_EX, 0, 0, 0), "flock has another holder");
	victim_pass();
}
