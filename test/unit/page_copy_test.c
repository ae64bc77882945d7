// SPDX-License-Identifier: GPL-2.0
/* Pages of this process and of a file, copied with all kinds of buffers and threads. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem/page_copy.h"
#include "unit.h"
#include "util/log.h"
#include "util/scope.h"

enum { PAGE = 4096, PAGES = 3000 };

static uint8_t *area;
static int out_fd, mem_fd;

static uint64_t *word(const uint8_t *base, size_t page)
{
	return (uint64_t *)(base + page * PAGE);
}

static struct page_copy_run run(size_t first, size_t end, bool by_fd)
{
	return (struct page_copy_run){ (uintptr_t)area + first * PAGE, (uintptr_t)area + end * PAGE,
				       by_fd };
}

static int copy(const struct page_copy_run *runs, size_t count, unsigned int threads, size_t buffer)
{
	struct page_copy what = {
		.what = "test",
		.pid = getpid(),
		.in_fd = mem_fd,
		.runs = runs,
		.nr_runs = count,
		.out_fd = out_fd,
		.nr_threads = threads,
		.buffer_size = buffer,
	};

	check_eq(ftruncate(out_fd, 0), 0);
	return page_copy_run(&what);
}

static void check_out(const struct page_copy_run *runs, size_t count)
{
	off_t at = 0;

	for (size_t i = 0; i < count; i++) {
		for (uint64_t page = runs[i].start; page < runs[i].end; page += PAGE, at += PAGE) {
			uint64_t got[2] = { 0 };

			check_eq(pread(out_fd, &got[0], 8, at), 8);
			check_eq(pread(out_fd, &got[1], 8, at + PAGE - 8), 8);
			check(got[0] == page && got[1] == page + 1);
		}
	}
	check_eq(lseek(out_fd, 0, SEEK_END), at);
}

static void test_patterns(void)
{
	static struct page_copy_run alternate[PAGES / 2];
	struct page_copy_run few[] = { run(0, 700, false), run(701, 702, true),
				       run(900, 2999, false) };
	static const size_t buffers[] = { PAGE, 3 * PAGE, 64 * PAGE, 0 };

	for (size_t i = 0; i < PAGES / 2; i++)
		alternate[i] = run(2 * i, 2 * i + 1, i % 97 == 0);
	for (unsigned int threads = 1; threads <= 3; threads++) {
		for (size_t b = 0; b < sizeof(buffers) / sizeof(buffers[0]); b++) {
			check_eq(copy(alternate, PAGES / 2, threads, buffers[b]), 0);
			check_out(alternate, PAGES / 2);
			check_eq(copy(few, 3, threads, buffers[b]), 0);
			check_out(few, 3);
		}
	}
	check_eq(copy(NULL, 0, 1, 0), 0);
}

/* What cannot be read is an error, in the middle as well; only by_fd gets at PROT_NONE. */
static void test_unreadable(void)
{
	struct page_copy_run plain[] = { run(0, 50, false) }, forced[] = { run(0, 50, true) };

	check_eq(mprotect(area + 20 * PAGE, PAGE, PROT_NONE), 0);
	check_eq(copy(plain, 1, 1, 0), -EFAULT);
	check_eq(copy(plain, 1, 2, PAGE), -EFAULT);
	check_eq(copy(forced, 1, 1, 0), 0);
	check_out(forced, 1);
	check_eq(mprotect(area + 20 * PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
}

/* Below vm.mmap_min_addr: a hole among the others may be filled by the C library or a sanitizer. */
static void test_not_mapped(void)
{
	struct page_copy_run plain[] = { run(0, 3, false), { PAGE, 2 * PAGE, false } };
	struct page_copy_run forced[] = { run(0, 3, true), { PAGE, 2 * PAGE, true } };

	check_eq(copy(plain, 2, 1, 0), -EFAULT);
	check(copy(forced, 2, 1, 0) < 0);
}

static void test_file(void)
{
	scoped_fd int in = memfd_create("in", MFD_CLOEXEC);
	struct page_copy_run runs[] = { { 0, PAGE, true }, { 2 * PAGE, 4 * PAGE, true } };
	struct page_copy what = { .what = "test",
				  .in_fd = in,
				  .in_size = 3 * PAGE + 10,
				  .runs = runs,
				  .nr_runs = 2,
				  .out_fd = out_fd,
				  .nr_threads = 1 };
	uint8_t page[PAGE];

	memset(page, 7, sizeof(page));
	for (int i = 0; i < 3; i++)
		check_eq(write(in, page, PAGE), PAGE);
	check_eq(write(in, page, 10), 10);
	check_eq(ftruncate(out_fd, 0), 0);
	check_eq(page_copy_run(&what), 0);
	check_eq(lseek(out_fd, 0, SEEK_END), 3 * PAGE);
	check_eq(pread(out_fd, page, PAGE, 2 * PAGE), PAGE);
	check(page[0] == 7 && page[9] == 7 && page[10] == 0 && page[PAGE - 1] == 0);
	/* Whole pages behind the end are not made up. */
	runs[1].end = 5 * PAGE;
	check_eq(page_copy_run(&what), -EIO);
}

int main(void)
{
	log_setup(-1, LOG_LEVEL_NONE, false);
	area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(area != MAP_FAILED);
	for (size_t i = 0; i < PAGES; i++) {
		*word(area, i) = (uintptr_t)area + i * PAGE;
		*(word(area, i + 1) - 1) = (uintptr_t)area + i * PAGE + 1;
	}
	out_fd = memfd_create("out", MFD_CLOEXEC);
	mem_fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	check(out_fd >= 0 && mem_fd >= 0);
	test_patterns();
	test_unreadable();
	test_not_mapped();
	test_file();
	return 0;
}
