/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside mem/ only. Finding the pages of large anonymous areas takes 1.7 ms per GiB: further
 * threads do it while the dump goes on.
 */
#ifndef MEM_PRESCAN_H
#define MEM_PRESCAN_H

#include <stdint.h>

#include "kernel/page_scan.h"
#include "kernel/proc_maps.h"

struct prescan;

/*
 * Nothing may be injected until prescan_join(): the walks hold the lock of the address space, and
 * an mmap(2) in the task would wait for it for long. vmas: of the task, or NULL: it reads them
 * itself. NULL: nothing is worth it, or not to be had (no thread, no memory), which only costs
 * time. proc_fd is borrowed until prescan_join(), vmas until this returns.
 */
struct prescan *prescan_start(int proc_fd, const struct proc_vmas *vmas);
/* Again, or NULL: does nothing. */
void prescan_join(struct prescan *prescan);
/* After join: the pages of exactly this area, or NULL. NULL prescan is fine. */
const struct page_runs *prescan_find(const struct prescan *prescan, uint64_t start, uint64_t end);
void prescan_free(struct prescan *prescan);

#endif
