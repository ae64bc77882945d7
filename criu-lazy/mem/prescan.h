/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside mem/ only. The kernel walks all page tables to write smaps: milliseconds per GiB.
 * Meanwhile a second thread finds the pages of large anonymous areas, which is another walk.
 */
#ifndef MEM_PRESCAN_H
#define MEM_PRESCAN_H

#include <stdint.h>

#include "kernel/page_scan.h"

struct prescan;

/* NULL: not to be had (no thread, no memory), which only costs time. proc_fd is borrowed until
 * prescan_join(). */
struct prescan *prescan_start(int proc_fd);
void prescan_join(struct prescan *prescan);
/* After join: the pages of exactly this area, or NULL. NULL prescan is fine. */
const struct page_runs *prescan_find(const struct prescan *prescan, uint64_t start, uint64_t end);
void prescan_free(struct prescan *prescan);

#endif
