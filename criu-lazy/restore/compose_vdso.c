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

#include "restore/compose.h"
#include "restore/own_maps.h"
#include "restore/vma_check.h"
#include "util/log.h"
#include "util/scope.h"

/* Where the image has it: data pages from `start`, code in [code, end). */
struct its_vdso {
	uint64_t start, code, end;
};

static bool find_its(const MmEntry *mm, struct its_vdso *its)
{
	*its = (struct its_vdso){ 0 };
	for (size_t i = 0; i < mm->n_vmas; i++) {
		const VmaEntry *vma = mm->vmas[i];

		if (vma_is_vvar(vma) && !its->start)
			its->start = vma->start;
		if (!vma_is_vdso(vma))
			continue;
		its->code = vma->start;
		its->end = vma->end;
		if (!its->start || its->start > its->code)
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

int vdso_plan(const struct restore *restore, const struct task *task)
{
	struct its_vdso its;
	bool is_same;
	int ret;

	if (!restore->vdso->count || !find_its(task->restore->mm, &its))
		return 0;
	ret = compare(restore, task, &its, &is_same);
	if (ret)
		return ret;
	if (!is_same)
		return log_ret(-EOPNOTSUPP,
			       "task %d: its vDSO differs from the running kernel's, which is not "
			       "supported",
			       task->pid);
	return 0;
}

int compose_vdso_place(struct compose *compose)
{
	struct its_vdso its;

	if (!compose->restore->vdso->count || !find_its(compose->task->restore->mm, &its))
		return 0; /* what is parked goes with the region */
	move(compose, compose->park, its.start);
	return 0;
}
