/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guard pages (MADV_GUARD_INSTALL, Linux 6.13) send no event, and UFFDIO_COPY overwrites them
 * (UFFD.md 4). From 6.15 on PAGEMAP_SCAN shows them.
 */
#ifndef LAZY_GUARD_H
#define LAZY_GUARD_H

#include <stdbool.h>
#include <stdint.h>

struct guard_range {
	uint64_t start, end;
	uint64_t categories; /* as the kernel wrote it */
};

/* Asks about our own memory whether the kernel knows the question. */
bool guard_scan_works(void);
/* Guard pages of [*start, end): how many ranges, at most room; *start moves past what was looked
 * at. -errno on failure. */
int guard_scan(int pagemap_fd, uint64_t *start, uint64_t end, struct guard_range *out, int room);

#endif
