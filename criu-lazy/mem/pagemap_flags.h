/* SPDX-License-Identifier: GPL-2.0 */
/* Flags of pagemap_entry, and VMA status bits of vma_entry (image format). */
#ifndef MEM_PAGEMAP_FLAGS_H
#define MEM_PAGEMAP_FLAGS_H

enum pagemap_flag {
	PE_PARENT = 1 << 0,  /* data is in the parent set */
	PE_LAZY = 1 << 1,    /* may be restored lazily */
	PE_PRESENT = 1 << 2, /* data is in pages-N.img */
};

enum vma_status {
	VMA_AREA_REGULAR = 1 << 0, /* has to be dumped and restored */
	VMA_AREA_STACK = 1 << 1,
	VMA_AREA_VSYSCALL = 1 << 2,
	VMA_AREA_VDSO = 1 << 3,
	VMA_AREA_HEAP = 1 << 5,
	VMA_FILE_PRIVATE = 1 << 6,
	VMA_FILE_SHARED = 1 << 7,
	VMA_ANON_SHARED = 1 << 8,
	VMA_ANON_PRIVATE = 1 << 9,
	VMA_AREA_SYSVIPC = 1 << 10,
	VMA_AREA_SOCKET = 1 << 11,
	VMA_AREA_VVAR = 1 << 12,
	VMA_AREA_AIORING = 1 << 13,
	VMA_AREA_MEMFD = 1 << 14,
	VMA_AREA_SHSTK = 1 << 15,
	VMA_AREA_GUARD = 1 << 16,
	VMA_AREA_UPROBES = 1 << 17,
};

#endif
