// SPDX-License-Identifier: GPL-2.0
#include "restore/vma_check.h"

#include <sys/mman.h>

#include "mem/pagemap_flags.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08 /* since 6.11; takes the place of MAP_PRIVATE */
#endif

#define USER_TOP  (1ull << 56)
#define PAGE_MASK 4095ull

bool vma_is_vsyscall(const VmaEntry *vma)
{
	return vma->status & VMA_AREA_VSYSCALL;
}

bool vma_is_vdso(const VmaEntry *vma)
{
	return vma->status & VMA_AREA_VDSO;
}

bool vma_is_vvar(const VmaEntry *vma)
{
	return vma->status & VMA_AREA_VVAR;
}

bool vma_is_guard(const VmaEntry *vma)
{
	return vma->status & VMA_AREA_GUARD;
}

bool vma_is_mapped(const VmaEntry *vma)
{
	return !(vma->status &
		 (VMA_AREA_VSYSCALL | VMA_AREA_VDSO | VMA_AREA_VVAR | VMA_AREA_GUARD));
}

bool vma_has_private_pages(const VmaEntry *vma)
{
	return (vma->status & (VMA_ANON_PRIVATE | VMA_FILE_PRIVATE)) && !vma_is_vsyscall(vma) &&
	       !vma_is_vvar(vma) && !vma_is_guard(vma);
}

/* Advice that is no attribute of an area but takes its content away, or is done at once. */
static const uint64_t advice_never = 1ull << MADV_DONTNEED | 1ull << MADV_WILLNEED |
				     1ull << MADV_FREE | 1ull << MADV_REMOVE |
				     ~((1ull << MADV_COLD) - 1);

static const char *check_kind(const VmaEntry *vma)
{
	const uint32_t kinds = VMA_FILE_PRIVATE | VMA_FILE_SHARED | VMA_ANON_SHARED |
			       VMA_ANON_PRIVATE | VMA_AREA_SYSVIPC | VMA_AREA_MEMFD;

	if (vma->status & VMA_AREA_SOCKET)
		return "is a mapped socket, which is not supported";
	if (vma->status & VMA_AREA_AIORING)
		return "is a ring of io_setup(2), which is not supported";
	if (vma->status & VMA_AREA_SHSTK)
		return "is a shadow stack, which is not supported";
	if (vma->status & VMA_AREA_UPROBES)
		return "belongs to uprobes, which are not supported";
	if (!(vma->status & kinds))
		return "is of no known kind";
	if (vma->prot & ~(uint32_t)(PROT_READ | PROT_WRITE | PROT_EXEC))
		return "has an unknown protection";
	if (!(vma->flags & MAP_SHARED) == !(vma->flags & (MAP_PRIVATE | MAP_DROPPABLE)))
		return "is neither shared nor private";
	if (vma->has_madv && vma->madv & advice_never)
		return "has advice that would drop its content";
	return NULL;
}

static const char *check_place(const VmaEntry *vma, uint64_t above)
{
	if (vma->start >= vma->end)
		return "is empty";
	if ((vma->start | vma->end | vma->pgoff) & PAGE_MASK)
		return "is not aligned to pages";
	if (vma->end > USER_TOP)
		return "ends beyond user space";
	if (vma->start < above)
		return "overlaps the one before or is out of order";
	return NULL;
}

const char *vma_list_check(const MmEntry *mm, size_t *index)
{
	uint64_t above = 0;

	for (size_t i = 0; i < mm->n_vmas; i++) {
		const VmaEntry *vma = mm->vmas[i];
		const char *wrong;

		*index = i;
		if (vma_is_vsyscall(vma))
			continue;
		if (vma_is_guard(vma)) {
			wrong = check_place(vma, 0);
			if (wrong)
				return wrong;
			continue;
		}
		wrong = check_place(vma, above);
		if (!wrong && vma_is_mapped(vma))
			wrong = check_kind(vma);
		if (wrong)
			return wrong;
		above = vma->end;
	}
	return NULL;
}

bool vma_list_holds(const MmEntry *mm, const struct page_extent *extents, size_t count,
		    uint64_t *vaddr)
{
	size_t v = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t at = extents[i].vaddr, end = at + extents[i].len;

		while (at < end) {
			while (v < mm->n_vmas &&
			       (mm->vmas[v]->end <= at || vma_is_guard(mm->vmas[v])))
				v++;
			*vaddr = at;
			if (v == mm->n_vmas || mm->vmas[v]->start > at ||
			    !vma_has_private_pages(mm->vmas[v]))
				return false;
			at = mm->vmas[v]->end < end ? mm->vmas[v]->end : end;
		}
	}
	return true;
}
