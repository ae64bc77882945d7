// SPDX-License-Identifier: GPL-2.0
/*
 * The vDSO. Each process has the running kernel's, somewhere; pointers into the old one are in the
 * task's memory. If it is the very same code with the same data pages before it, it is moved to
 * where the task had it. If not, the task keeps its old code as plain memory, with the entry points
 * turned into jumps to the kernel's (vdso_patch.c), which gets a place of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch_core.h"
#include "blob_arch.h"
#include "restore/compose.h"
#include "restore/own_maps.h"
#include "restore/vdso_patch.h"
#include "restore/vma_check.h"
#include "util/log.h"
#include "util/scope.h"

enum {
	GROWSDOWN_GAP = 2 << 20,
	BRK_ROOM = 1 << 30, /* the heap should grow on */
	VDSO_MAX = 256 << 10,
};

/* Where the image has it: data pages from `start`, code in [code, end). */
struct its_vdso {
	uint64_t start, code, end;
};

static bool find_its(const MmEntry *mm, struct its_vdso *its)
{
	uint64_t data_end = 0;

	*its = (struct its_vdso){ 0 };
	for (size_t i = 0; i < mm->n_vmas; i++) {
		const VmaEntry *vma = mm->vmas[i];

		if (vma_is_vvar(vma)) {
			if (vma->start != data_end)
				its->start = vma->start;
			data_end = vma->end;
		}
		if (!vma_is_vdso(vma))
			continue;
		its->code = vma->start;
		its->end = vma->end;
		/* Only what touches is its data: between them may be anything. */
		if (data_end != its->code)
			its->start = its->code;
		return true;
	}
	return false;
}

/* The same layout, and the same bytes where the images have them. */
static int compare(const struct restore *restore, const struct task *task,
		   const struct its_vdso *its, bool *is_same)
{
	const struct own_vdso *own = restore->vdso;
	const struct page_source *pages = task->restore->pages;
	const struct hole_area *code = &own->areas[own->count - 1];
	uint64_t len = its->end - its->code;
	scoped_free void *bytes = NULL;
	int ret;

	*is_same = false;
	if (its->end - its->start != own_vdso_bytes(own) || len != code->end - code->start)
		return 0;
	bytes = malloc(len);
	if (!bytes)
		return -ENOMEM;
	ret = pages ? page_source_read(pages, its->code, bytes, len) : -ENODATA;
	if (ret == -ENODATA) {
		log_warn("task %d: its vDSO is not in the images; taken for the running kernel's",
			 task->pid);
		*is_same = true;
		return 0;
	}
	if (ret)
		return ret;
	*is_same = !memcmp(bytes, (const void *)(uintptr_t)code->start, len);
	return 0;
}

static void move(struct compose *compose, uint64_t from_base, uint64_t to_base)
{
	const struct own_vdso *own = compose->restore->vdso;

	for (unsigned int i = 0; i < own->count; i++) {
		uint64_t offset = own->areas[i].start - own->areas[0].start;
		uint64_t len = own->areas[i].end - own->areas[i].start;

		calls_expect(&compose->calls, RESTORER_WHAT_VDSO, to_base + offset, SYS_mremap,
			     from_base + offset, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			     to_base + offset);
	}
}

int compose_vdso_park(struct compose *compose)
{
	if (compose->restore->vdso->count)
		move(compose, compose->restore->vdso->areas[0].start, compose->park);
	return 0;
}

/* A thread inside the old code would go on there, with data that is gone. */
static int check_threads(const struct task *task, const struct its_vdso *its)
{
	for (size_t i = 0; i < task->nr_threads; i++) {
		uint64_t ip = arch_core_ip(task->restore->cores[i]);

		if (ip < its->start || ip >= its->end)
			continue;
		return log_ret(
			-EOPNOTSUPP,
			"task %d: thread %d was inside the vDSO of another kernel; dump again",
			task->pid, task->threads[i].tid);
	}
	return 0;
}

/* Room for the kernel's, where the task has nothing and its stack will not grow to. */
static int find_room(const struct restore *restore, struct task *task)
{
	const MmEntry *mm = task->restore->mm;
	scoped_free struct hole_area *areas = calloc(mm->n_vmas, sizeof(*areas));

	if (!areas)
		return -ENOMEM;
	for (size_t i = 0; i < mm->n_vmas; i++) {
		uint64_t gap = mm->vmas[i]->flags & MAP_GROWSDOWN ? GROWSDOWN_GAP : 0;

		areas[i].start = mm->vmas[i]->start > gap ? mm->vmas[i]->start - gap : 0;
		areas[i].end = mm->vmas[i]->end;
	}
	task->restore->vdso_address = hole_find(areas, mm->n_vmas, own_vdso_bytes(restore->vdso),
						task->restore->mm->mm_brk + BRK_ROOM, ARCH_MAP_TOP);
	if (!task->restore->vdso_address)
		return log_ret(-ENOMEM, "task %d: no room for the vDSO", task->pid);
	return 0;
}

static int plan_patch(const struct restore *restore, struct task *task, const struct its_vdso *its)
{
	const struct own_vdso *own = restore->vdso;
	const struct hole_area *code = &own->areas[own->count - 1];
	uint64_t len = its->end - its->code;
	char missing[64] = "";
	int ret = check_threads(task, its);

	if (!ret)
		ret = find_room(restore, task);
	if (ret)
		return ret;
	task->restore->vdso = len <= VDSO_MAX ? malloc(len) : NULL;
	if (!task->restore->vdso)
		return -ENOMEM;
	ret = task->restore->pages
		      ? page_source_read(task->restore->pages, its->code, task->restore->vdso, len)
		      : -ENODATA;
	if (ret)
		return log_ret(ret, "task %d: its vDSO differs and is not in the images",
			       task->pid);
	ret = vdso_patch(task->restore->vdso, len, (const uint8_t *)(uintptr_t)code->start,
			 code->end - code->start,
			 task->restore->vdso_address + (code->start - own->areas[0].start),
			 missing);
	if (ret)
		return log_ret(ret, "task %d: its vDSO cannot call the running kernel's: %s",
			       task->pid, *missing ? missing : "unknown layout");
	log_info("task %d: its vDSO is another kernel's and now calls ours at 0x%lx", task->pid,
		 task->restore->vdso_address);
	return 0;
}

int vdso_plan(const struct restore *restore, struct task *task)
{
	struct its_vdso its;
	bool is_same;
	int ret;

	if (!restore->vdso->count || !find_its(task->restore->mm, &its))
		return 0;
	ret = compare(restore, task, &its, &is_same);
	if (ret || is_same)
		return ret;
	return plan_patch(restore, task, &its);
}

/* Its own areas as plain memory: the code with the jumps, the data empty. */
static void map_patched(struct compose *compose, const struct its_vdso *its)
{
	uint64_t len = its->end - its->code;

	if (its->start < its->code)
		calls_expect(&compose->calls, RESTORER_WHAT_VDSO, its->start, SYS_mmap, its->start,
			     its->code - its->start, PROT_READ,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	calls_expect(&compose->calls, RESTORER_WHAT_VDSO, its->code, SYS_mmap, its->code, len,
		     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	calls_must(&compose->calls, RESTORER_WHAT_VDSO, RESTORER_OP_POKE, its->code,
		   region_copy(&compose->region, compose->task->restore->vdso, len), len);
	calls_must(&compose->calls, RESTORER_WHAT_VDSO, SYS_mprotect, its->code, len,
		   PROT_READ | PROT_EXEC);
}

int compose_vdso_place(struct compose *compose)
{
	const struct restore_task *rt = compose->task->restore;
	struct its_vdso its;

	if (!compose->restore->vdso->count || !find_its(rt->mm, &its))
		return 0; /* what is parked goes with the region */
	if (rt->vdso)
		map_patched(compose, &its);
	move(compose, compose->park, rt->vdso ? rt->vdso_address : its.start);
	return 0;
}
