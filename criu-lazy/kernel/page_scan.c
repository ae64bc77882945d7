// SPDX-License-Identifier: GPL-2.0
#include "kernel/page_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "util/scope.h"

enum { PAGE = 4096, REGIONS = 2048, ENTRIES = 4096 };

/* linux/fs.h of 6.7: older headers lack it. */
struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)

enum scan_category {
	IS_FILE = 1 << 2,
	IS_PRESENT = 1 << 3,
	IS_SWAPPED = 1 << 4,
	IS_PFNZERO = 1 << 5,
	IS_GUARD = 1 << 8, /* 6.15; such a page is "swapped" as well, on older kernels only that */
};

/* Bits of a /proc/PID/pagemap entry (Documentation/admin-guide/mm/pagemap.rst). */
#define ENTRY_PRESENT (1ull << 63)
#define ENTRY_SWAPPED (1ull << 62)
#define ENTRY_FILE    (1ull << 61)
#define ENTRY_GUARD   (1ull << 58)
#define ENTRY_PFN     ((1ull << 55) - 1)

struct page_scan {
	int fd;
	bool has_ioctl, has_guard;
	bool is_anonymous; /* the range has no page of the page cache */
	uint64_t zero_pfn; /* 0: unknown, then zero pages are taken for data */
	union {
		struct scan_region regions[REGIONS];
		uint64_t entries[ENTRIES];
	};
};

static int add_run(struct page_runs *runs, size_t first, uint64_t start, uint64_t end,
		   enum page_run_kind kind)
{
	struct page_run *last = runs->count > first ? &runs->items[runs->count - 1] : NULL;

	if (last && last->end == start && last->kind == kind) {
		last->end = end;
		return 0;
	}
	if (runs->count == runs->capacity) {
		size_t capacity = runs->capacity ? runs->capacity * 2 : 256;
		struct page_run *grown = realloc(runs->items, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		runs->items = grown;
		runs->capacity = capacity;
	}
	runs->items[runs->count++] = (struct page_run){ start, end, kind };
	return 0;
}

static long scan_ioctl(struct page_scan *scan, uint64_t start, uint64_t end, uint64_t *walk_end)
{
	uint64_t guard = scan->has_guard ? IS_GUARD : 0;
	uint64_t unwanted = scan->is_anonymous ? IS_PFNZERO : IS_FILE | IS_PFNZERO;
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uintptr_t)scan->regions,
		.vec_len = REGIONS,
		.category_inverted = unwanted,
		.category_mask = unwanted,
		.category_anyof_mask = IS_PRESENT | IS_SWAPPED,
		.return_mask = guard ? guard : IS_PFNZERO,
	};
	long ret = ioctl(scan->fd, SCAN_IOCTL, &arg);

	*walk_end = arg.walk_end;
	return ret < 0 ? -errno : ret;
}

/*
 * The kernel collects 512 regions at a time. When the walk is over, walk_end may still be where
 * the last but one of these batches ended (seen on 6.18), so it only counts if the vector is full,
 * and never points before what was reported.
 */
static int range_by_ioctl(struct page_scan *scan, uint64_t start, uint64_t end,
			  struct page_runs *runs)
{
	size_t first = runs->count;
	long count = REGIONS;

	while (count == REGIONS && start < end) {
		uint64_t walk_end;

		count = scan_ioctl(scan, start, end, &walk_end);
		if (count < 0)
			return (int)count;
		for (long i = 0; i < count; i++) {
			const struct scan_region *region = &scan->regions[i];
			int ret = add_run(runs, first, region->start, region->end,
					  region->categories & IS_GUARD ? PAGE_RUN_GUARD
									: PAGE_RUN_DATA);

			if (ret)
				return ret;
			start = region->end;
		}
		if (count == REGIONS && walk_end > start)
			start = walk_end;
	}
	return 0;
}

static bool is_data(const struct page_scan *scan, uint64_t entry)
{
	if (!(entry & (ENTRY_PRESENT | ENTRY_SWAPPED)) || entry & ENTRY_FILE)
		return false;
	return !(entry & ENTRY_PRESENT) || !scan->zero_pfn || (entry & ENTRY_PFN) != scan->zero_pfn;
}

static int range_by_pagemap(struct page_scan *scan, uint64_t start, uint64_t end,
			    struct page_runs *runs)
{
	size_t first = runs->count;

	while (start < end) {
		uint64_t pages = (end - start) / PAGE < ENTRIES ? (end - start) / PAGE : ENTRIES;
		ssize_t got = pread(scan->fd, scan->entries, pages * sizeof(uint64_t),
				    (off_t)(start / PAGE * sizeof(uint64_t)));

		if (got < 0)
			return -errno;
		if (got < (ssize_t)sizeof(uint64_t))
			return -EIO;
		pages = (uint64_t)got / sizeof(uint64_t);
		for (uint64_t i = 0; i < pages; i++, start += PAGE) {
			uint64_t entry = scan->entries[i];
			bool is_guard = entry & ENTRY_GUARD;
			int ret = 0;

			if (is_guard || is_data(scan, entry))
				ret = add_run(runs, first, start, start + PAGE,
					      is_guard ? PAGE_RUN_GUARD : PAGE_RUN_DATA);
			if (ret)
				return ret;
		}
	}
	return 0;
}

static int scan_range(struct page_scan *scan, uint64_t start, uint64_t end, struct page_runs *runs)
{
	return scan->has_ioctl ? range_by_ioctl(scan, start, end, runs)
			       : range_by_pagemap(scan, start, end, runs);
}

int page_scan_range(struct page_scan *scan, uint64_t start, uint64_t end, struct page_runs *runs)
{
	scan->is_anonymous = false;
	return scan_range(scan, start, end, runs);
}

int page_scan_anonymous(struct page_scan *scan, uint64_t start, uint64_t end,
			struct page_runs *runs)
{
	scan->is_anonymous = true;
	return scan_range(scan, start, end, runs);
}

/* The frame of the zero page, as pagemap shows it to who has CAP_SYS_ADMIN; 0 to others. */
static uint64_t find_zero_pfn(void)
{
	scoped_fd int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	volatile char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t entry = 0;

	if (page == MAP_FAILED)
		return 0;
	(void)page[0]; /* a read fault maps the zero page */
	if (fd < 0 || pread(fd, &entry, sizeof(entry),
			    (off_t)((uintptr_t)page / PAGE * sizeof(entry))) != sizeof(entry))
		entry = 0;
	munmap((void *)page, PAGE);
	return entry & ENTRY_PRESENT ? entry & ENTRY_PFN : 0;
}

static int scan_new(int proc_fd, struct page_scan **out)
{
	struct page_scan *scan = malloc(sizeof(*scan));

	if (!scan)
		return -ENOMEM;
	scan->has_ioctl = scan->has_guard = scan->is_anonymous = false;
	scan->zero_pfn = 0;
	scan->fd = openat(proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
	if (scan->fd < 0) {
		int ret = -errno;

		free(scan);
		return ret;
	}
	*out = scan;
	return 0;
}

int page_scan_open(int proc_fd, struct page_scan **out)
{
	int ret = scan_new(proc_fd, out);
	uint64_t walk_end;

	if (ret)
		return ret;
	/* An empty range asks which categories are known: an unknown one is EINVAL. */
	(*out)->has_guard = true;
	(*out)->has_ioctl = scan_ioctl(*out, 0, 0, &walk_end) >= 0;
	if (!(*out)->has_ioctl) {
		(*out)->has_guard = false;
		(*out)->has_ioctl = scan_ioctl(*out, 0, 0, &walk_end) >= 0;
	}
	if (!(*out)->has_ioctl)
		(*out)->zero_pfn = find_zero_pfn();
	return 0;
}

int page_scan_open_pagemap(int proc_fd, struct page_scan **out)
{
	int ret = scan_new(proc_fd, out);

	if (!ret)
		(*out)->zero_pfn = find_zero_pfn();
	return ret;
}

void page_scan_close(struct page_scan *scan)
{
	if (!scan)
		return;
	close(scan->fd);
	free(scan);
}
