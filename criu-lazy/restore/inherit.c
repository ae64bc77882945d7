// SPDX-License-Identifier: GPL-2.0
#include "restore/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kinds/kind.h"
#include "mem/pagemap_flags.h"
#include "restore/vma_check.h"
#include "util/log.h"
#include "util/scope.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

enum {
	PAGE_BYTES = 4096,
	BUFFER_BYTES = 64 << 10,
	SAMPLES = 16,
	OUR_STACK_ROOM = 16 << 20, /* around our stack pointer nothing may be mapped */
};

struct span {
	uint64_t start, end;
};

static struct span overlap(const VmaEntry *a, const VmaEntry *b)
{
	return (struct span){ a->start > b->start ? a->start : b->start,
			      a->end < b->end ? a->end : b->end };
}

/* The part of the extent that lies in the span; empty: start >= end. */
static struct span clip(const struct page_extent *extent, struct span span)
{
	struct span part = { extent->vaddr, extent->vaddr + extent->len };

	part.start = part.start > span.start ? part.start : span.start;
	part.end = part.end < span.end ? part.end : span.end;
	return part;
}

#define for_each_extent(extent, source, span)                                                \
	for (const struct page_extent *                                                      \
		     extent = page_source_find(source, (span).start),                        \
		    *last_ = page_source_extents(source) + page_source_extent_count(source); \
	     extent && extent < last_ && extent->vaddr < (span).end; extent++)

/* ---- plan --------------------------------------------------------------------------------- */

static bool may_be_held(const VmaEntry *vma)
{
	return vma_is_mapped(vma) && vma_has_private_pages(vma) &&
	       !(vma->flags & (MAP_HUGETLB | MAP_DROPPABLE));
}

static bool is_same_thing(const VmaEntry *a, const VmaEntry *b)
{
	const uint32_t kinds = VMA_ANON_PRIVATE | VMA_FILE_PRIVATE;
	const uint32_t flags = MAP_GROWSDOWN | MAP_NORESERVE;

	if ((a->status ^ b->status) & kinds || (a->flags ^ b->flags) & flags)
		return false;
	return a->status & VMA_ANON_PRIVATE ||
	       (a->shmid == b->shmid && a->pgoff - a->start == b->pgoff - b->start);
}

static bool has_equal_page(const struct page_source *a, const struct page_source *b, uint64_t vaddr)
{
	uint8_t left[PAGE_BYTES], right[PAGE_BYTES];
	const struct page_extent *other = page_source_find(b, vaddr);

	return other && other->vaddr <= vaddr && other->origin == PAGE_LOCAL &&
	       !page_source_read(a, vaddr, left, PAGE_BYTES) &&
	       !page_source_read(b, vaddr, right, PAGE_BYTES) && !memcmp(left, right, PAGE_BYTES);
}

static bool have_something(const struct task *task, const struct task *parent, struct span span)
{
	const struct page_source *mine = task->restore->pages, *its = parent->restore->pages;
	uint64_t bytes = 0, step, next = 0, at = 0;

	for_each_extent(extent, mine, span) bytes +=
		clip(extent, span).end - clip(extent, span).start;
	step = bytes / SAMPLES & ~(uint64_t)(PAGE_BYTES - 1);
	if (!step)
		step = PAGE_BYTES;
	for_each_extent(extent, mine, span)
	{
		struct span part = clip(extent, span);

		for (; next < at + part.end - part.start; next += step) {
			if (extent->origin == PAGE_LOCAL &&
			    has_equal_page(mine, its, part.start + next - at))
				return true;
		}
		at += part.end - part.start;
	}
	return false;
}

/* The first area of the list, from `at` on, that ends after the address. Guards come last. */
static size_t seek_area(const MmEntry *mm, size_t at, uint64_t address)
{
	while (at < mm->n_vmas && !vma_is_guard(mm->vmas[at]) && mm->vmas[at]->end <= address)
		at++;
	return at;
}

static void plan_area(struct task *task, size_t index, size_t at)
{
	const struct task *parent = task->parent;
	const VmaEntry *vma = task->restore->mm->vmas[index];
	const MmEntry *mm = parent->restore->mm;

	for (; at < mm->n_vmas && mm->vmas[at]->start < vma->end; at++) {
		struct span both = overlap(vma, mm->vmas[at]);

		if (both.start >= both.end || !may_be_held(mm->vmas[at]) ||
		    !is_same_thing(vma, mm->vmas[at]) || !have_something(task, parent, both))
			continue;
		task->restore->inherited[index].source = at + 1;
		task->restore->inherited[index].is_held = true;
		parent->restore->inherited[at].is_held = true;
		return;
	}
}

/* Forked by a leader of its session, which has its own memory in place by then. */
static bool has_parents_memory(const struct task *task)
{
	while (task->restore->clone_flags & CLONE_PARENT) {
		const struct task *creator = task->restore->creator;

		if (creator == task->restore->session_leader && !creator->restore->is_helper)
			return false;
		task = creator;
	}
	return task->parent && task->parent->state != TASK_DEAD;
}

static void plan_task(struct task *task)
{
	const MmEntry *mm = task->restore->mm;
	size_t at = 0;

	for (size_t i = 0; i < mm->n_vmas; i++) {
		if (!may_be_held(mm->vmas[i]))
			continue;
		at = seek_area(task->parent->restore->mm, at, mm->vmas[i]->start);
		plan_area(task, i, at);
	}
}

int inherit_plan(struct restore *restore)
{
	struct task *task;

	if (restore->opts->lazy_pages)
		return 0;
	tree_for_each (task, &restore->tree) {
		struct restore_task *rt = task->restore;

		if (task->state == TASK_DEAD)
			continue;
		rt->inherited = calloc(rt->mm->n_vmas + 1, sizeof(*rt->inherited));
		if (!rt->inherited)
			return log_ret(-ENOMEM, "task %d: areas", task->pid);
		if (has_parents_memory(task))
			plan_task(task);
	}
	return 0;
}

bool inherit_holds(const struct restore_task *rt, size_t index)
{
	return rt->inherited && rt->inherited[index].is_held;
}

/* ---- in the task -------------------------------------------------------------------------- */

static void *pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

static int read_pages(const struct task *task, const struct page_extent *extent, struct span part)
{
	while (part.start < part.end) {
		ssize_t got = pread(extent->fd, pointer(part.start), part.end - part.start,
				    (off_t)(extent->offset + (part.start - extent->vaddr)));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return log_ret(got ? -errno : -EIO, "task %d: pages at %#lx", task->pid,
				       part.start);
		part.start += (uint64_t)got;
	}
	return 0;
}

static int read_span(const struct task *task, struct span span)
{
	if (span.start >= span.end)
		return 0;
	for_each_extent(extent, task->restore->pages, span)
	{
		int ret = read_pages(task, extent, clip(extent, span));

		if (ret)
			return ret;
	}
	return 0;
}

/* Writes what differs: a page that is written is our own from then on. */
static int write_changed(const struct task *task, struct span part, uint8_t *buffer)
{
	for (uint64_t at = part.start; at < part.end; at += BUFFER_BYTES) {
		uint64_t len = part.end - at < BUFFER_BYTES ? part.end - at : BUFFER_BYTES;
		int ret = page_source_read(task->restore->pages, at, buffer, len);

		if (ret)
			return log_ret(ret, "task %d: pages at %#lx", task->pid, at);
		for (uint64_t page = 0; page < len; page += PAGE_BYTES) {
			if (memcmp(pointer(at + page), buffer + page, PAGE_BYTES))
				memcpy(pointer(at + page), buffer + page, PAGE_BYTES);
		}
	}
	return 0;
}

/* [at, end) is ours in the images; compared is only what the parent has as well. */
static int take_run(const struct task *task, struct span run, uint8_t *buffer)
{
	uint64_t at = run.start;
	int ret = 0;

	for_each_extent(extent, task->parent->restore->pages, run)
	{
		struct span part = clip(extent, run);

		ret = read_span(task, (struct span){ at, part.start });
		if (!ret)
			ret = write_changed(task, part, buffer);
		if (ret)
			return ret;
		at = part.end;
	}
	return read_span(task, (struct span){ at, run.end });
}

static int drop(const struct task *task, uint64_t start, uint64_t end)
{
	if (start < end && madvise(pointer(start), end - start, MADV_DONTNEED))
		return log_errno("task %d: drop pages at %#lx", task->pid, start);
	return 0;
}

/* What the parent left there becomes ours. */
static int take_span(const struct task *task, struct span span)
{
	scoped_free uint8_t *buffer = malloc(BUFFER_BYTES);
	uint64_t at = span.start;
	int ret;

	if (!buffer)
		return log_ret(-ENOMEM, "task %d: inherited pages", task->pid);
	for_each_extent(extent, task->restore->pages, span)
	{
		struct span run = clip(extent, span);

		ret = drop(task, at, run.start);
		if (!ret)
			ret = take_run(task, run, buffer);
		if (ret)
			return ret;
		at = run.end;
	}
	return drop(task, at, span.end);
}

static bool is_near_our_stack(struct span span)
{
	uint64_t here = (uintptr_t)__builtin_frame_address(0);

	return span.start < here + OUR_STACK_ROOM && span.end > here - OUR_STACK_ROOM;
}

/* False: something is there. */
static bool map_span(struct restore *restore, const VmaEntry *vma, struct span span)
{
	uint64_t length = span.end - span.start;
	int flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE |
		    (int)(vma->flags & (MAP_GROWSDOWN | MAP_NORESERVE));
	scoped_fd int fd = -1;

	if (span.start >= span.end)
		return true;
	if (is_near_our_stack(span))
		return false;
	if (vma->status & VMA_ANON_PRIVATE)
		flags |= MAP_ANONYMOUS;
	else if (files_open_path(restore, vma->shmid, O_RDONLY | O_CLOEXEC, &fd))
		return false; /* the blob's mmap will fail as well, and that ends the restore */
	return mmap(pointer(span.start), length, PROT_READ | PROT_WRITE, flags, fd,
		    fd < 0 ? 0 : (off_t)(vma->pgoff + (span.start - vma->start))) ==
	       pointer(span.start);
}

/*
 * What the parent left becomes the whole area, if it can: by growing, so that it is one area for
 * the kernel too. Two that touch may stay two (they do before 6.16 when one comes from a fork), and
 * mremap(2) of both would fail later.
 */
static bool stretch(struct span common, struct span all)
{
	if (common.start == all.start &&
	    (common.end == all.end || mremap(pointer(all.start), common.end - common.start,
					     all.end - all.start, 0) == pointer(all.start)))
		return true;
	munmap(pointer(common.start), common.end - common.start);
	return false;
}

static int take_area(struct restore *restore, struct task *task, size_t index)
{
	struct inherited *inherited = &task->restore->inherited[index];
	const struct restore_task *parent = task->parent ? task->parent->restore : NULL;
	const VmaEntry *vma = task->restore->mm->vmas[index];
	struct span all = { vma->start, vma->end }, common;
	int ret;

	if (!inherited->source || !inherit_holds(parent, inherited->source - 1)) {
		inherited->is_held = map_span(restore, vma, all);
		return inherited->is_held ? read_span(task, all) : 0;
	}
	common = overlap(vma, parent->mm->vmas[inherited->source - 1]);
	inherited->is_held = stretch(common, all);
	if (!inherited->is_held)
		return 0;
	ret = take_span(task, common);
	return ret ? ret : read_span(task, (struct span){ common.end, all.end });
}

/* What of the parent's areas is not ours in turn; both lists are sorted. */
static void leave_others(const struct task *task)
{
	const struct restore_task *rt = task->restore, *parent = task->parent->restore;
	size_t mine = 0;

	for (size_t i = 0; i < parent->mm->n_vmas; i++) {
		const VmaEntry *its = parent->mm->vmas[i];
		uint64_t at = its->start;

		if (!inherit_holds(parent, i))
			continue;
		mine = seek_area(rt->mm, mine, its->start);
		for (size_t j = mine; j < rt->mm->n_vmas && rt->mm->vmas[j]->start < its->end;
		     j++) {
			struct span common = overlap(rt->mm->vmas[j], its);

			if (rt->inherited[j].source != i + 1)
				continue;
			if (at < common.start)
				munmap(pointer(at), common.start - at);
			at = common.end;
		}
		if (at < its->end)
			munmap(pointer(at), its->end - at);
	}
}

int inherit_take(struct restore *restore, struct task *task)
{
	struct restore_task *rt = task->restore;

	if (!rt->inherited)
		return 0;
	if (has_parents_memory(task))
		leave_others(task);
	for (size_t i = 0; i < rt->mm->n_vmas; i++) {
		int ret = inherit_holds(rt, i) ? take_area(restore, task, i) : 0;

		if (ret)
			return ret;
	}
	return 0;
}
