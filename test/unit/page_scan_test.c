// SPDX-License-Identifier: GPL-2.0
/* Both ways to find pages, on mappings of this process. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/page_scan.h"
#include "unit.h"
#include "util/scope.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { PAGE = 4096, PAGES = 8192 };

static void check_pattern(struct page_scan *scan)
{
	char *area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	struct page_runs runs = { 0 };
	uint64_t base = (uintptr_t)area;

	check(area != MAP_FAILED);
	madvise(area, PAGES * PAGE, MADV_NOHUGEPAGE);
	check_eq(page_scan_range(scan, base, base + PAGES * PAGE, &runs), 0);
	check_eq(runs.count, 0);
	/* More runs than fit into one answer of the kernel: pages 1, 3, 5, ... */
	for (int i = 1; i < PAGES; i += 2)
		area[i * PAGE] = 1;
	area[2 * PAGE] = 1;
	check_eq(page_scan_range(scan, base, base + PAGES * PAGE, &runs), 0);
	check_eq(runs.count, PAGES / 2 - 1);
	check(runs.items[0].start == base + PAGE && runs.items[0].end == base + 4 * PAGE);
	check(runs.items[0].kind == PAGE_RUN_DATA);
	for (size_t i = 1; i < runs.count; i++) {
		check(runs.items[i].start == base + (2 * i + 3) * PAGE);
		check(runs.items[i].end == runs.items[i].start + PAGE);
	}
	/* A second call appends, and joins nothing to what was there. */
	check_eq(page_scan_range(scan, base + 4 * PAGE, base + 6 * PAGE, &runs), 0);
	check_eq(runs.count, PAGES / 2);
	free(runs.items);
	munmap(area, PAGES * PAGE);
}

static void check_file(struct page_scan *scan)
{
	scoped_fd int fd = open("/proc/self/exe", O_RDONLY);
	volatile char *area = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	struct page_runs runs = { 0 };
	uint64_t base = (uintptr_t)area;

	check(area != MAP_FAILED);
	(void)area[0];
	(void)area[PAGE];
	area[2 * PAGE] = 1;
	check_eq(page_scan_range(scan, base, base + 4 * PAGE, &runs), 0);
	check_eq(runs.count, 1);
	check(runs.items[0].start == base + 2 * PAGE && runs.items[0].end == base + 3 * PAGE);
	free(runs.items);
	munmap((void *)area, 4 * PAGE);
}

static void check_guard(struct page_scan *scan)
{
	char *area =
		mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct page_runs runs = { 0 };
	uint64_t base = (uintptr_t)area;

	check(area != MAP_FAILED);
	area[0] = area[3 * PAGE] = 1;
	if (!madvise(area + PAGE, 2 * PAGE, MADV_GUARD_INSTALL)) {
		check_eq(page_scan_range(scan, base, base + 4 * PAGE, &runs), 0);
		if (runs.count == 3) { /* since 6.15 */
			check(runs.items[1].kind == PAGE_RUN_GUARD);
			check(runs.items[1].start == base + PAGE);
			check(runs.items[1].end == base + 3 * PAGE);
		}
	}
	free(runs.items);
	munmap(area, 4 * PAGE);
}

int main(void)
{
	scoped_fd int proc_fd = open("/proc/self", O_RDONLY | O_DIRECTORY);
	int (*const openers[])(int, struct page_scan **) = { page_scan_open,
							     page_scan_open_pagemap };

	check(proc_fd >= 0);
	for (int i = 0; i < 2; i++) {
		struct page_scan *scan;

		check_eq(openers[i](proc_fd, &scan), 0);
		check_pattern(scan);
		check_file(scan);
		check_guard(scan);
		page_scan_close(scan);
	}
	return 0;
}
