// SPDX-License-Identifier: GPL-2.0
/* Tasks that share a descriptor table, or working directory and umask: a child and a grandchild
 * with the root; two brothers with each other only. The steps are in memory that all share. */
/* victim: modes=eager,lazy,daemon,remote,migrate dump=--file-locks restore=--file-locks */
#include <linux/sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "victim.h"

enum { GO = 10, NUMBER = 77 };

static struct shared {
	int step, fd, file, wrong;
	pid_t brother;
} * shared;

static pid_t make(uint64_t flags)
{
	struct clone_args args = { .flags = flags,
				   .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD };

	return syscall(SYS_clone3, &args, sizeof(args));
}

static void wait_step(int step)
{
	while (__atomic_load_n(&shared->step, __ATOMIC_SEQ_CST) < step)
		usleep(1000);
}

static void next_step(void)
{
	__atomic_add_fetch(&shared->step, 1, __ATOMIC_SEQ_CST);
}

/* The number of the line is what the root says. */
#define claim(cond) ((cond) ? 0 : (shared->wrong = __LINE__))

static struct flock a_lock(void)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 3, .l_len = 4 };
}

static void grandchild(void)
{
	next_step(); /* 1 */
	wait_step(GO);
	claim(fcntl(shared->fd, F_GETFD) == FD_CLOEXEC);
	claim(!close(shared->fd));
	next_step(); /* GO + 1 */
	pause();
}

static void child(void)
{
	struct flock lock = a_lock();
	pid_t pid;

	claim(!fcntl(shared->file, F_SETLK, &lock));
	pid = make(CLONE_FILES | CLONE_FS);
	if (!pid)
		grandchild();
	wait_step(GO + 1);
	claim(fcntl(shared->fd, F_GETFD) < 0);
	kill(pid, SIGKILL);
	claim(waitpid(pid, NULL, 0) == pid);
	_exit(0);
}

static void younger(void)
{
	next_step(); /* 2 */
	wait_step(GO + 1);
	claim(dup2(shared->file, NUMBER) == NUMBER);
	claim(lseek(NUMBER, 5, SEEK_SET) == 5);
	claim(!chdir("/usr/lib"));
	umask(027);
	next_step(); /* GO + 2 */
	pause();
}

static void elder(void)
{
	struct flock lock = a_lock();
	char where[64] = "";
	pid_t pid;

	claim(!chdir("/usr"));
	pid = make(CLONE_FILES | CLONE_FS | CLONE_PARENT);
	if (!pid)
		younger();
	shared->brother = pid;
	wait_step(GO + 2);
	claim(umask(0) == 027);
	claim(getcwd(where, sizeof(where)) && !strcmp(where, "/usr/lib"));
	claim(lseek(NUMBER, 0, SEEK_CUR) == 5);
	claim(!fcntl(shared->file, F_GETLK, &lock) && lock.l_type == F_WRLCK && lock.l_start == 3);
	_exit(0);
}

int main(int argc, char **argv)
{
	pid_t first, second;
	int status;

	victim_begin(argc, argv);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	require(shared != MAP_FAILED, "shared memory");
	shared->file = victim_open("data", O_RDWR | O_CREAT);
	require(write(shared->file, "0123456789", 10) == 10, "file");
	first = make(CLONE_FILES);
	if (!first)
		child();
	wait_step(1);
	second = fork();
	if (!second)
		elder();
	wait_step(2);
	shared->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	victim_ready();
	__atomic_store_n(&shared->step, GO, __ATOMIC_SEQ_CST);
	require(waitpid(second, &status, 0) == second && !status, "second child: %x", status);
	kill(shared->brother, SIGKILL);
	require(waitpid(shared->brother, NULL, 0) == shared->brother, "brother");
	require(waitpid(first, &status, 0) == first && !status, "first child: %x", status);
	require(!shared->wrong, "wrong at line %d", shared->wrong);
	require(fcntl(shared->fd, F_GETFD) < 0, "closed by the grandchild, open here");
	victim_pass();
}
