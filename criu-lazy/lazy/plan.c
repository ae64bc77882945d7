// SPDX-License-Identifier: GPL-2.0
/*
 * Which areas of a task are lazy, and which of their pages cannot wait.
 *
 * Cannot wait: pages the kernel writes while the task exits, when userfaultfd is skipped and the
 * write would be lost (clear_child_tid, robust list: UFFD.md 6), what it touches on every return to
 * user mode (rseq), what the first instructions need anyway (thread block, stack pointer), and
 * what others read from outside, ps for example (arguments, environment: UFFD.md 24).
 */
#include "lazy/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mem/pagemap_flags.h"
#include "util/bisect.h"
#include "util/scope.h"

#define PAGE_BYTES	 4096ull
#define HUGE_DEFAULT	 (2ull << 20)
#define HUGE_GIGANTIC	 (1ull << 30)
#define HUGE_SHIFT	 26 /* MAP_HUGE_SHIFT: log2 of the page size in the map flags */
#define HUGE_MASK	 0x3fu
#define TASK_TOP	 (1ull << 56)
#define OUTSIDE_MAX	 (256ull << 10) /* of arguments and environment, each */
#define RED_ZONE	 512
#define STACK_ABOVE	 2048
#define THREAD_BLOCK	 4096 /* struct pthread above the thread pointer, static TLS below it */
#define ALT_STACK_TOP	 4096
#define ROBUST_HEAD_SIZE 24
#define RSEQ_MAX	 4096

#define STATUS_NEVER                                                                              \
	(VMA_AREA_VSYSCALL | VMA_AREA_VDSO | VMA_AREA_VVAR | VMA_AREA_SOCKET | VMA_AREA_AIORING | \
	 VMA_AREA_MEMFD | VMA_AREA_SHSTK | VMA_AREA_GUARD | VMA_AREA_UPROBES | VMA_FILE_PRIVATE | \
	 VMA_FILE_SHARED)

static bool has_advice(const VmaEntry *vma, int advice)
{
	return vma->has_madv && (vma->madv >> advice & 1);
}

static uint64_t huge_page_size(const VmaEntry *vma)
{
	uint32_t shift = vma->flags >> HUGE_SHIFT & HUGE_MASK;

	return shift ? 1ull << shift : HUGE_DEFAULT;
}

static bool is_hugetlb(const VmaEntry *vma)
{
	return vma->flags & MAP_HUGETLB;
}

static bool plan_range(const VmaEntry *vma, lazy_shmem_fn is_lazy_shmem, void *ctx,
		       struct lazy_range *range)
{
	*range = (struct lazy_range){
		.start = vma->start,
		.end = vma->end,
		.page_size = PAGE_BYTES,
	};
	if (!(vma->status & VMA_AREA_REGULAR) || vma->status & STATUS_NEVER)
		return false;
	if (vma->flags & MAP_LOCKED)
		return false; /* its owner must never wait for a page */
	if (vma->status & (VMA_ANON_SHARED | VMA_AREA_SYSVIPC)) {
		if (is_hugetlb(vma) || !is_lazy_shmem || !is_lazy_shmem(ctx, vma->shmid))
			return false;
		range->kind = LAZY_RANGE_SHMEM;
		range->shmid = vma->shmid;
		range->pgoff = vma->pgoff;
	} else if (!(vma->status & VMA_ANON_PRIVATE)) {
		return false;
	} else if (is_hugetlb(vma)) {
		range->page_size = huge_page_size(vma);
		range->kind = LAZY_RANGE_HUGETLB;
		/* A page of 1 GiB is not fetched on demand: the fault would last a second. */
		if (range->page_size < PAGE_BYTES || range->page_size >= HUGE_GIGANTIC)
			return false;
	} else {
		range->kind = LAZY_RANGE_ANON;
	}
	if (has_advice(vma, MADV_DONTFORK))
		range->flags |= LAZY_RANGE_DONTFORK;
	if (has_advice(vma, MADV_WIPEONFORK))
		range->flags |= LAZY_RANGE_WIPEONFORK;
	if (has_advice(vma, MADV_HUGEPAGE) && range->kind != LAZY_RANGE_HUGETLB)
		range->flags |= LAZY_RANGE_HUGEPAGE;
	return range->start < range->end && range->end <= TASK_TOP &&
	       !((range->start | range->end) & (range->page_size - 1));
}

static int compare_ranges(const void *a, const void *b)
{
	const struct lazy_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Index of the first range that ends after addr. */
static size_t range_after(const struct lazy_plan *plan, uint64_t addr)
{
	return bisect(plan->nr_ranges, i, plan->ranges[i].end > addr);
}

bool lazy_plan_covers(const struct lazy_plan *plan, uint64_t vaddr)
{
	size_t i = range_after(plan, vaddr);

	return i < plan->nr_ranges && plan->ranges[i].start <= vaddr;
}

struct eager_list {
	struct lazy_plan *plan;
	size_t room;
};

/* Adds the pages of [start, end) that lie in lazy ranges, cut where ranges end. */
static int add_eager(struct eager_list *list, uint64_t start, uint64_t end)
{
	struct lazy_plan *plan = list->plan;

	if (end < start)
		end = TASK_TOP;
	for (size_t i = range_after(plan, start); i < plan->nr_ranges; i++) {
		const struct lazy_range *range = &plan->ranges[i];
		uint64_t mask = range->page_size - 1;
		uint64_t from = start > range->start ? start & ~mask : range->start;
		uint64_t to = end < range->end ? (end + mask) & ~mask : range->end;

		if (range->start >= end)
			break;
		if (plan->nr_eager == list->room) {
			size_t room = list->room ? list->room * 2 : 16;
			void *grown = realloc(plan->eager, room * sizeof(*plan->eager));

			if (!grown)
				return -ENOMEM;
			plan->eager = grown;
			list->room = room;
		}
		plan->eager[plan->nr_eager++] = (struct lazy_eager){ .start = from, .end = to };
	}
	return 0;
}

/* [start - below, start + above), without wrapping; nothing for address 0. */
static int add_around(struct eager_list *list, uint64_t at, uint64_t below, uint64_t above)
{
	if (!at || at >= TASK_TOP)
		return 0;
	return add_eager(list, at > below ? at - below : 0, at + above);
}

static int add_outside(struct eager_list *list, uint64_t start, uint64_t end)
{
	if (!start || start >= end)
		return 0;
	if (end - start > OUTSIDE_MAX)
		end = start + OUTSIDE_MAX;
	return add_eager(list, start, end);
}

struct thread_addresses {
	uint64_t clear_tid, sp, thread_block;
};

static struct thread_addresses thread_addresses(const CoreEntry *core)
{
	struct thread_addresses at = { 0 };

	if (core->thread_info) {
		at.clear_tid = core->thread_info->clear_tid_addr;
		if (core->thread_info->gpregs) {
			at.sp = core->thread_info->gpregs->sp;
			at.thread_block = core->thread_info->gpregs->fs_base;
		}
	} else if (core->ti_aarch64) {
		at.clear_tid = core->ti_aarch64->clear_tid_addr;
		at.thread_block = core->ti_aarch64->tls;
		if (core->ti_aarch64->gpregs)
			at.sp = core->ti_aarch64->gpregs->sp;
	}
	return at;
}

static int add_thread(struct eager_list *list, const CoreEntry *core)
{
	struct thread_addresses at = thread_addresses(core);
	const ThreadCoreEntry *thread = core->thread_core;
	int ret = add_around(list, at.clear_tid, 0, sizeof(uint32_t));

	if (!ret)
		ret = add_around(list, at.sp, RED_ZONE, STACK_ABOVE);
	if (!ret)
		ret = add_around(list, at.thread_block, THREAD_BLOCK / 2, THREAD_BLOCK);
	if (ret || !thread)
		return ret;
	ret = add_around(list, thread->futex_rla, 0, ROBUST_HEAD_SIZE);
	if (!ret && thread->rseq_entry) {
		uint64_t size = thread->rseq_entry->rseq_abi_size;

		ret = add_around(list, thread->rseq_entry->rseq_abi_pointer, 0,
				 size && size < RSEQ_MAX ? size : RSEQ_MAX);
	}
	if (!ret && thread->sas && thread->sas->ss_size < TASK_TOP)
		ret = add_around(list, thread->sas->ss_sp + thread->sas->ss_size, ALT_STACK_TOP, 0);
	return ret;
}

static int compare_eager(const void *a, const void *b)
{
	const struct lazy_eager *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Sorts, and joins what overlaps. What only touches stays apart: it may be two areas. */
static void tidy_eager(struct lazy_plan *plan)
{
	size_t kept = 0;

	if (!plan->nr_eager)
		return;
	qsort(plan->eager, plan->nr_eager, sizeof(*plan->eager), compare_eager);
	for (size_t i = 1; i < plan->nr_eager; i++) {
		if (plan->eager[i].start >= plan->eager[kept].end)
			plan->eager[++kept] = plan->eager[i];
		else if (plan->eager[i].end > plan->eager[kept].end)
			plan->eager[kept].end = plan->eager[i].end;
	}
	plan->nr_eager = kept + 1;
}

static int plan_eager(const MmEntry *mm, CoreEntry *const *cores, size_t nr_cores,
		      struct lazy_plan *plan)
{
	struct eager_list list = { .plan = plan };
	int ret = add_outside(&list, mm->mm_arg_start, mm->mm_arg_end);

	if (!ret)
		ret = add_outside(&list, mm->mm_env_start, mm->mm_env_end);
	if (!ret) /* pointers to them and the auxiliary vector lie between */
		ret = add_outside(&list, mm->mm_start_stack, mm->mm_arg_start);
	for (size_t i = 0; !ret && i < nr_cores; i++)
		ret = add_thread(&list, cores[i]);
	if (!ret)
		tidy_eager(plan);
	return ret;
}

int lazy_plan_build(const MmEntry *mm, CoreEntry *const *cores, size_t nr_cores,
		    lazy_shmem_fn is_lazy_shmem, void *ctx, struct lazy_plan *out)
{
	size_t kept = 0;
	int ret;

	*out = (struct lazy_plan){ 0 };
	if (!mm->n_vmas)
		return 0;
	out->ranges = calloc(mm->n_vmas, sizeof(*out->ranges));
	if (!out->ranges)
		return -ENOMEM;
	for (size_t i = 0; i < mm->n_vmas; i++) {
		if (plan_range(mm->vmas[i], is_lazy_shmem, ctx, &out->ranges[out->nr_ranges]))
			out->nr_ranges++;
	}
	qsort(out->ranges, out->nr_ranges, sizeof(*out->ranges), compare_ranges);
	/* Overlapping areas are nobody's to map; the plan of the restore refuses them by name. */
	for (size_t i = 1; i < out->nr_ranges; i++) {
		if (out->ranges[i].start >= out->ranges[kept].end)
			out->ranges[++kept] = out->ranges[i];
	}
	if (out->nr_ranges)
		out->nr_ranges = kept + 1;
	ret = plan_eager(mm, cores, nr_cores, out);
	if (ret)
		lazy_plan_fini(out);
	return ret;
}

void lazy_plan_fini(struct lazy_plan *plan)
{
	free(plan->ranges);
	free(plan->eager);
	*plan = (struct lazy_plan){ 0 };
}
