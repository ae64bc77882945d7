// SPDX-License-Identifier: GPL-2.0
#include "restore/vma_check.h"

#include <sys/mman.h>

#include "mem/pagemap_flags.h"
#include "unit.h"

static VmaEntry vmas[4];
static VmaEntry *list[4] = { &vmas[0], &vmas[1], &vmas[2], &vmas[3] };

static void fill(void)
{
	for (int i = 0; i < 4; i++) {
		vma_entry__init(&vmas[i]);
		vmas[i].start = 0x10000 + 0x10000 * i;
		vmas[i].end = vmas[i].start + 0x4000;
		vmas[i].prot = PROT_READ;
		vmas[i].flags = MAP_PRIVATE | MAP_ANONYMOUS;
		vmas[i].status = VMA_AREA_REGULAR | VMA_ANON_PRIVATE;
	}
}

int main(void)
{
	MmEntry mm = MM_ENTRY__INIT;
	struct page_extent extents[] = { { .vaddr = 0x10000, .len = 0x4000 },
					 { .vaddr = 0x21000, .len = 0x1000 } };
	uint64_t vaddr;
	size_t index;

	mm.n_vmas = 4;
	mm.vmas = list;
	fill();
	check(!vma_list_check(&mm, &index));
	check(vma_list_holds(&mm, extents, 2, &vaddr));
	extents[0].len = 0x5000;
	check(!vma_list_holds(&mm, extents, 2, &vaddr));
	check_eq(vaddr, 0x14000);
	vmas[0].end = vmas[1].start; /* adjacent areas share an extent */
	extents[0].len = 0x11000;
	check(vma_list_holds(&mm, extents, 1, &vaddr));

	vmas[2].start = 0x21000;
	check(vma_list_check(&mm, &index) && index == 2);
	fill();
	vmas[1].end += 1;
	check(vma_list_check(&mm, &index) && index == 1);
	fill();
	vmas[3].end = 1ull << 60;
	check(vma_list_check(&mm, &index) && index == 3);
	fill();
	vmas[0].end = vmas[0].start;
	check(vma_list_check(&mm, &index) && index == 0);
	fill();
	vmas[0].status = VMA_AREA_REGULAR | VMA_AREA_SOCKET;
	check(vma_list_check(&mm, &index));
	fill();
	vmas[0].flags = MAP_ANONYMOUS;
	check(vma_list_check(&mm, &index));
	fill();
	vmas[3].start = 0xffffffffff600000ull;
	vmas[3].end = 0xffffffffff601000ull;
	vmas[3].status = VMA_AREA_VSYSCALL;
	check(!vma_list_check(&mm, &index));
	/* a guard lies inside the area before it */
	fill();
	vmas[1].start = 0x11000;
	vmas[1].end = 0x12000;
	vmas[1].status = VMA_AREA_GUARD;
	check(!vma_list_check(&mm, &index));
	return 0;
}
