// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <sys/mman.h>

#include "lazy/plan.h"
#include "mem/pagemap_flags.h"
#include "unit.h"

enum { ANON = VMA_AREA_REGULAR | VMA_ANON_PRIVATE };

static VmaEntry vma(uint64_t start, uint64_t end, uint32_t status, uint32_t flags)
{
	VmaEntry entry = VMA_ENTRY__INIT;

	entry.start = start;
	entry.end = end;
	entry.status = status;
	entry.flags = flags;
	entry.fd = -1;
	return entry;
}

static bool only_seven(void *ctx, uint64_t shmid)
{
	return shmid == 7;
}

static void choose_areas(void)
{
	MmEntry mm = MM_ENTRY__INIT;
	VmaEntry vmas[] = {
		vma(0x10000, 0x20000, ANON, MAP_PRIVATE | MAP_ANONYMOUS),
		vma(0x20000, 0x30000, VMA_AREA_REGULAR | VMA_FILE_PRIVATE, MAP_PRIVATE),
		vma(0x30000, 0x40000, ANON, MAP_PRIVATE | MAP_LOCKED),
		vma(0x40000, 0x50000, VMA_AREA_REGULAR | VMA_ANON_SHARED, MAP_SHARED),
		vma(0x50000, 0x60000, VMA_AREA_REGULAR | VMA_ANON_SHARED, MAP_SHARED),
		vma(0x400000, 0x800000, ANON, MAP_PRIVATE | MAP_HUGETLB | 21u << 26),
		vma(0x40000000, 0x80000000, ANON, MAP_PRIVATE | MAP_HUGETLB | 30u << 26),
		vma(0x80000000, 0x80001000, VMA_AREA_REGULAR | VMA_AREA_VDSO, MAP_PRIVATE),
		vma(0x90000000, 0x90000800, ANON, MAP_PRIVATE),
		vma(0x8000, 0x9000, ANON, MAP_PRIVATE),
	};
	VmaEntry *list[10];
	struct lazy_plan plan;

	for (int i = 0; i < 10; i++)
		list[i] = &vmas[i];
	vmas[0].has_madv = true;
	vmas[0].madv = 1ull << MADV_DONTFORK | 1ull << MADV_WIPEONFORK | 1ull << MADV_HUGEPAGE;
	vmas[3].shmid = 6;
	vmas[4].shmid = 7;
	vmas[4].pgoff = 0x3000;
	mm.n_vmas = 10;
	mm.vmas = list;
	check_eq(lazy_plan_build(&mm, NULL, 0, only_seven, NULL, &plan), 0);
	check_eq(plan.nr_ranges, 4);
	check_eq(plan.ranges[0].start, 0x8000);
	check_eq(plan.ranges[1].start, 0x10000);
	check_eq(plan.ranges[1].kind, LAZY_RANGE_ANON);
	check_eq(plan.ranges[1].flags,
		 LAZY_RANGE_DONTFORK | LAZY_RANGE_WIPEONFORK | LAZY_RANGE_HUGEPAGE);
	check_eq(plan.ranges[2].kind, LAZY_RANGE_SHMEM);
	check_eq(plan.ranges[2].shmid, 7);
	check_eq(plan.ranges[2].pgoff, 0x3000);
	check_eq(plan.ranges[3].kind, LAZY_RANGE_HUGETLB);
	check_eq(plan.ranges[3].page_size, 2 << 20);
	check_eq(plan.nr_eager, 0);
	check(lazy_plan_covers(&plan, 0x8fff) && !lazy_plan_covers(&plan, 0x9000));
	check(!lazy_plan_covers(&plan, 0x20000) && lazy_plan_covers(&plan, 0x7fffff));
	lazy_plan_fini(&plan);
}

static void choose_eager_pages(void)
{
	MmEntry mm = MM_ENTRY__INIT;
	VmaEntry area = vma(0x100000, 0x200000, ANON, MAP_PRIVATE);
	VmaEntry huge = vma(0x400000, 0x800000, ANON, MAP_PRIVATE | MAP_HUGETLB);
	VmaEntry *list[] = { &area, &huge };
	CoreEntry core = CORE_ENTRY__INIT;
	ThreadInfoX86 info = THREAD_INFO_X86__INIT;
	UserX86RegsEntry regs = USER_X86_REGS_ENTRY__INIT;
	ThreadCoreEntry thread = THREAD_CORE_ENTRY__INIT;
	ThreadSasEntry sas = THREAD_SAS_ENTRY__INIT;
	CoreEntry *cores[] = { &core };
	struct lazy_plan plan;

	mm.n_vmas = 2;
	mm.vmas = list;
	mm.mm_arg_start = 0x1ff100;
	mm.mm_arg_end = 0x900000; /* hostile: goes on past the area */
	core.thread_info = &info;
	core.thread_core = &thread;
	info.gpregs = &regs;
	info.clear_tid_addr = 0x110ffc;
	regs.sp = 0x140000;
	regs.fs_base = 0x150800;
	thread.futex_rla = 0x160ff8;
	thread.sas = &sas;
	sas.ss_sp = 0x500000;
	sas.ss_size = 0x2000;
	check_eq(lazy_plan_build(&mm, cores, 1, NULL, NULL, &plan), 0);
	check_eq(plan.nr_ranges, 2);
	for (size_t i = 0; i < plan.nr_eager; i++) {
		check(plan.eager[i].start < plan.eager[i].end);
		check(!i || plan.eager[i].start >= plan.eager[i - 1].end);
		check(lazy_plan_covers(&plan, plan.eager[i].start));
		check(lazy_plan_covers(&plan, plan.eager[i].end - 1));
	}
	check_eq(plan.nr_eager, 6);
	check(plan.eager[0].start == 0x110000 && plan.eager[0].end == 0x111000);
	check(plan.eager[1].start == 0x13f000 && plan.eager[1].end == 0x141000);
	check(plan.eager[2].start == 0x150000 && plan.eager[2].end == 0x152000);
	check(plan.eager[3].start == 0x160000 && plan.eager[3].end == 0x162000);
	check(plan.eager[4].start == 0x1ff000 && plan.eager[4].end == 0x200000);
	check(plan.eager[5].start == 0x400000 && plan.eager[5].end == 0x600000);
	lazy_plan_fini(&plan);
}

int main(void)
{
	choose_areas();
	choose_eager_pages();
	return 0;
}
