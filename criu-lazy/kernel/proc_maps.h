/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A task's areas as /proc/PID/smaps tells them: what maps has, and VmFlags, which no other file
 * gives away (PROCMAP_QUERY of 6.11 has only r, w, x and shared; but see vma_flags.h). The kernel
 * walks the page tables for the sums in between: 3.7 ms per GiB of 4 KiB pages here.
 */
#ifndef KERNEL_PROC_MAPS_H
#define KERNEL_PROC_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of VmFlags (proc(5)), those that matter to somebody. */
enum proc_vma_flag {
	VMA_MAY_WRITE = 1 << 0,	    /* mw */
	VMA_GROWS_DOWN = 1 << 1,    /* gd */
	VMA_PFNMAP = 1 << 2,	    /* pf */
	VMA_IO = 1 << 3,	    /* io */
	VMA_LOCKED = 1 << 4,	    /* lo */
	VMA_LOCK_ON_FAULT = 1 << 5, /* lf */
	VMA_SEQUENTIAL = 1 << 6,    /* sr */
	VMA_RANDOM = 1 << 7,	    /* rr */
	VMA_DONT_COPY = 1 << 8,	    /* dc */
	VMA_NO_RESERVE = 1 << 9,    /* nr */
	VMA_HUGETLB = 1 << 10,	    /* ht */
	VMA_WIPE_ON_FORK = 1 << 11, /* wf */
	VMA_DONT_DUMP = 1 << 12,    /* dd */
	VMA_HUGEPAGE = 1 << 13,	    /* hg */
	VMA_NO_HUGEPAGE = 1 << 14,  /* nh */
	VMA_MERGEABLE = 1 << 15,    /* mg */
	VMA_UFFD = 1 << 16,	    /* um, uw or ui */
	VMA_SHADOW_STACK = 1 << 17, /* ss */
	VMA_SEALED = 1 << 18,	    /* sl */
	VMA_DROPPABLE = 1 << 19,    /* dp */
};

struct proc_vma {
	uint64_t start, end;
	uint64_t pgoff;	   /* bytes */
	uint64_t dev, ino; /* as maps shows them: not always what stat says (overlayfs, btrfs) */
	uint32_t prot;	   /* PROT_* */
	uint32_t flags;	   /* enum proc_vma_flag */
	uint32_t pkey;
	uint64_t page_size; /* KernelPageSize, bytes */
	bool is_shared;
	const char *name; /* "" if there is none; newlines are escaped */
};

struct proc_vmas {
	struct proc_vma *items;
	size_t count;
	char *text; /* names point into it */
};

/* proc_fd: an open /proc/PID. Errors are not logged: -ESRCH or -ENOENT if the task is gone. */
int proc_vmas_read(int proc_fd, struct proc_vmas *out);
/* Takes text over (malloc, zero terminated), also on failure. -EBADMSG if it makes no sense. */
int proc_vmas_parse(char *text, struct proc_vmas *out);
void proc_vmas_free(struct proc_vmas *vmas);

#endif
