/* SPDX-License-Identifier: GPL-2.0 */
/* Inside mem/ only. */
#ifndef MEM_SEGMENT_FILL_H
#define MEM_SEGMENT_FILL_H

#include <stdint.h>

#include "mem/page_source.h"

/*
 * Writes all pages of the source, which have to be local, to their offsets in the file behind fd
 * (tmpfs or hugetlbfs). The file keeps its size: -EBADMSG if a page lies beyond it. Logged.
 */
int segment_fill(const struct page_source *pages, uint64_t shmid, int fd);

#endif
