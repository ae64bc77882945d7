/* SPDX-License-Identifier: GPL-2.0 */
/* What an area of a task is to the images. Pure: from what smaps says to vma_entry fields. */
#ifndef MEM_AREA_H
#define MEM_AREA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/proc_maps.h"

enum mem_backing {
	MEM_BACKING_NONE,    /* anonymous memory, or the kernel's own */
	MEM_BACKING_FILE,    /* shmid is a file of files.img */
	MEM_BACKING_SEGMENT, /* anonymous shared memory: shmid is a segment */
};

struct mem_area {
	const struct proc_vma *vma;
	uint64_t end; /* behind vma->end where two areas became one (vvar and vvar_vclock) */
	uint32_t status, flags;
	uint64_t madv;
	enum mem_backing backing;
	bool has_own_pages; /* private pages to look for */
	bool is_whole;	    /* every page is dumped, whoever it belongs to (vDSO) */
	bool is_lazy;	    /* its pages may be restored lazily, as CRIU marks it */
};

/*
 * shm_dev: device of the kernel's own tmpfs, where anonymous shared memory and memfds live, as maps
 * shows it. NULL, or why the area cannot be dumped, as the end of "area X is ...".
 */
const char *mem_area_classify(const struct proc_vma *vma, uint64_t shm_dev, struct mem_area *out);
/* A segment that is also open as a file (through map_files) is dumped as a memfd. */
void mem_area_make_memfd(struct mem_area *area);

#endif
