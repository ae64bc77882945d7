// SPDX-License-Identifier: GPL-2.0
/* Areas of our own, by both ways. Passes where the kernel, or who we are, does not allow the fast
 * one. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kernel/vma_flags.h"
#include "unit.h"
#include "util/scope.h"

enum { PAGE = 4096 };

static char *map(int prot, int flags)
{
	char *at = mmap(NULL, PAGE, prot, flags | MAP_ANONYMOUS, -1, 0);

	check(at != MAP_FAILED);
	return at;
}

/* A child that stands still, so that nothing changes between two readings. */
static pid_t make_child(bool is_odd)
{
	pid_t pid = fork();

	check(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	madvise(map(PROT_READ | PROT_WRITE, MAP_PRIVATE), PAGE, MADV_DONTFORK);
	madvise(map(PROT_READ | PROT_WRITE, MAP_PRIVATE), PAGE, MADV_NOHUGEPAGE);
	map(PROT_READ | PROT_WRITE, MAP_SHARED);
	map(PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);
	if (is_odd) {
		char *odd = map(PROT_READ | PROT_WRITE, MAP_PRIVATE);

		madvise(odd, PAGE, MADV_DONTFORK);
		madvise(odd, PAGE, MADV_RANDOM);
	}
	raise(SIGSTOP);
	_exit(0);
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	check(waitpid(pid, NULL, 0) == pid);
}

static int read_both(const struct vma_flags *flags, pid_t pid, struct proc_vmas *fast,
		     struct proc_vmas *slow)
{
	char path[32];

	check(waitpid(pid, NULL, WUNTRACED) == pid);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	scoped_fd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	check(fd >= 0);
	check(!proc_vmas_read(fd, slow));
	return vma_flags_read(flags, fd, pid, fast);
}

static void test_same(const struct vma_flags *flags)
{
	pid_t pid = make_child(false);
	struct proc_vmas fast, slow;
	int ret = read_both(flags, pid, &fast, &slow);

	end_child(pid);
	if (!ret) { /* a sanitizer has areas of kinds that nobody else has */
		check_eq(fast.count, slow.count);
		for (size_t i = 0; i < slow.count; i++) {
			check_eq(fast.items[i].start, slow.items[i].start);
			check_eq(fast.items[i].end, slow.items[i].end);
			check_eq(fast.items[i].flags, slow.items[i].flags);
		}
		proc_vmas_free(&fast);
	}
	proc_vmas_free(&slow);
}

static void test_unknown(const struct vma_flags *flags)
{
	pid_t pid = make_child(true);
	struct proc_vmas fast, slow;

	check_eq(read_both(flags, pid, &fast, &slow), -ENODATA);
	end_child(pid);
	proc_vmas_free(&slow);
}

int main(void)
{
	struct vma_flags *flags;
	int ret = vma_flags_open(&flags);

	if (ret) {
		printf("vma_flags: not to be had here (error %d)\n", -ret);
		return 0;
	}
	test_same(flags);
	test_unknown(flags);
	vma_flags_close(flags);
	return 0;
}
