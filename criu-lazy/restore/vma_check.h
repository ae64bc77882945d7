/* SPDX-License-Identifier: GPL-2.0 */
/* Is a list of areas from an image one that may be mapped? Pure. */
#ifndef RESTORE_VMA_CHECK_H
#define RESTORE_VMA_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/page_source.h"
#include "mm.pb-c.h"

/* Not in our hands: the kernel gives it to every process, or there is nothing to map. */
bool vma_is_vsyscall(const VmaEntry *vma);
bool vma_is_vdso(const VmaEntry *vma);
bool vma_is_vvar(const VmaEntry *vma);
/* Marks a part of the area before it, rather than being one. */
bool vma_is_guard(const VmaEntry *vma);
/* Mapped by the blob with mmap(2). */
bool vma_is_mapped(const VmaEntry *vma);
/* Pages of the pagemap belong into it. */
bool vma_has_private_pages(const VmaEntry *vma);

/*
 * Areas are aligned, sorted, inside user space, do not overlap, and are of a kind that can be
 * restored. Returns NULL, or what is wrong with area *index.
 */
const char *vma_list_check(const MmEntry *mm, size_t *index);
/* Every page lies in an area that takes pages. false: *vaddr does not. */
bool vma_list_holds(const MmEntry *mm, const struct page_extent *extents, size_t count,
		    uint64_t *vaddr);

#endif
