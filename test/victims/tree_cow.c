// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that parent, child and grandchild have not changed since the fork. What each sees must be
 * right: pages changed by one of them, dropped by one, an area that has grown, been cut, or been
 * replaced. Restored eagerly, what is equal is one page in memory again.
 */
/* victim: modes=eager */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "victim.h"

enum { PAGES = 64, AREA = PAGES * PAGE };

static struct shared {
	int step, wrong;
	uint64_t frames[3][PAGES];
} * shared;
static uint8_t *area, *cut, *moved;

#define claim(cond) ((cond) ? 0 : (shared->wrong = __LINE__))

static void wait_step(int step)
{
	while (__atomic_load_n(&shared->step, __ATOMIC_SEQ_CST) < step)
		usleep(1000);
}

static void next_step(void)
{
	__atomic_add_fetch(&shared->step, 1, __ATOMIC_SEQ_CST);
}

/* Frame numbers: 0 where nothing is, or where we may not know. */
static void look(const uint8_t *at, uint64_t frames[PAGES])
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	claim(pread(fd, frames, PAGES * 8, (uintptr_t)at / PAGE * 8) == PAGES * 8);
	for (int i = 0; i < PAGES; i++)
		frames[i] = frames[i] >> 63 ? frames[i] & ((1ull << 55) - 1) : 0;
	close(fd);
}

static bool is_all(const uint8_t *page, uint8_t value)
{
	for (int i = 0; i < PAGE; i++) {
		if (page[i] != value)
			return false;
	}
	return true;
}

/* Pages 0-7: changed by the child; 8-15: dropped by it; 16-23: by the grandchild. */
static uint8_t wanted(int generation, int page)
{
	if (page < 8 && generation)
		return 200 + page;
	if (page < 16 && page >= 8 && generation)
		return 0;
	if (page >= 16 && page < 24 && generation == 2)
		return 150;
	return page + 1;
}

static void check(int generation)
{
	look(area, shared->frames[generation]);
	for (int i = 0; i < PAGES; i++)
		claim(is_all(area + i * PAGE, wanted(generation, i)));
	for (int i = 0; i < PAGES / 2; i++)
		claim(is_all(cut + (i + PAGES / 4) * PAGE, i + 1 + PAGES / 4));
	for (int i = 0; i < PAGES; i++)
		claim(is_all(moved + i * PAGE, generation ? 99 : i + 1));
	next_step();
}

static void grandchild(void)
{
	memset(area + 16 * PAGE, 150, 8 * PAGE);
	munmap(cut, AREA / 4);
	munmap(cut + AREA / 4 * 3, AREA / 4);
	next_step();
	wait_step(10);
	check(2);
	pause();
}

static void child(void)
{
	pid_t pid;

	for (int i = 0; i < 8; i++)
		memset(area + i * PAGE, 200 + i, PAGE);
	madvise(area + 8 * PAGE, 8 * PAGE, MADV_DONTNEED);
	/* Grown; it must be one area for mremap(2) again. */
	claim(mremap(area, AREA, AREA + PAGE, 0) == area);
	memset(area + AREA, 77, PAGE);
	/* Another one in its place, longer than the old. */
	moved = mmap(moved, AREA + PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	memset(moved, 99, AREA + PAGE);
	pid = fork();
	if (!pid)
		grandchild();
	wait_step(11);
	check(1);
	claim(mremap(area, AREA + PAGE, AREA + 2 * PAGE, MREMAP_MAYMOVE) != MAP_FAILED);
	wait_step(13);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	_exit(0);
}

static uint8_t *make(void)
{
	/* Room behind it, so that it is an area of its own that can grow. */
	uint8_t *at = mmap(NULL, AREA * 2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	require(at != MAP_FAILED && !munmap(at + AREA, AREA), "area");
	require(!mprotect(at, AREA, PROT_READ | PROT_WRITE), "area");
	for (int i = 0; i < PAGES; i++)
		memset(at + i * PAGE, i + 1, PAGE);
	return at;
}

static int count_common(int a, int b, int from)
{
	int common = 0;

	for (int i = from; i < PAGES; i++)
		common += shared->frames[a][i] && shared->frames[a][i] == shared->frames[b][i];
	return common;
}

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	victim_begin(argc, argv);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	require(shared != MAP_FAILED, "shared memory");
	area = make();
	cut = make();
	moved = make();
	pid = fork();
	if (!pid)
		child();
	wait_step(1);
	victim_ready();
	shared->step = 10;
	check(0);
	wait_step(13);
	require(waitpid(pid, &status, 0) == pid && !status, "child: %x", status);
	require(!shared->wrong, "wrong at line %d", shared->wrong);
	require(count_common(0, 1, 16) == PAGES - 16, "%d", count_common(0, 1, 16));
	require(count_common(0, 2, 24) == PAGES - 24, "%d", count_common(0, 2, 24));
	require(count_common(1, 2, 0) == PAGES - 16, "%d", count_common(1, 2, 0));
	victim_pass();
}
