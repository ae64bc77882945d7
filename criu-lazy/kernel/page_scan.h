/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which pages of a stopped task hold something of its own: PAGEMAP_SCAN (Linux 6.7), or
 * /proc/PID/pagemap, entry by entry, before.
 */
#ifndef KERNEL_PAGE_SCAN_H
#define KERNEL_PAGE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum page_run_kind {
	PAGE_RUN_DATA,	/* anonymous: present or swapped, and not the shared zero page */
	PAGE_RUN_GUARD, /* MADV_GUARD_INSTALL; told by Linux 6.15 and later */
};

struct page_run {
	uint64_t start, end;
	enum page_run_kind kind;
};

struct page_runs {
	struct page_run *items; /* malloc */
	size_t count, capacity;
};

struct page_scan;

/* proc_fd: an open /proc/PID (borrowed). Not logged. */
int page_scan_open(int proc_fd, struct page_scan **out);
/* Never PAGEMAP_SCAN: for kernels without, and for tests. */
int page_scan_open_pagemap(int proc_fd, struct page_scan **out);
void page_scan_close(struct page_scan *scan);
/*
 * Appends the runs of [start, end), page aligned, in order, joined where they touch within one
 * call. Pages of the page cache (of a private file mapping, not written to) are left out.
 */
int page_scan_range(struct page_scan *scan, uint64_t start, uint64_t end, struct page_runs *runs);
/* The same for an area without a file behind it: four times as fast, since the kernel need not look
 * whose page each is (1.7 instead of 8 ms per GiB here). */
int page_scan_anonymous(struct page_scan *scan, uint64_t start, uint64_t end,
			struct page_runs *runs);

#endif
