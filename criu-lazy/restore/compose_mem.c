// SPDX-License-Identifier: GPL-2.0
/*
 * Memory: one fixed mmap(2) per area at its final place, pages read straight from the images into
 * it, then protection, advice and locks. The address space is otherwise empty by then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kinds/kind.h"
#include "mem/mem.h"
#include "mem/pagemap_flags.h"
#include "restore/compose.h"
#include "restore/inherit.h"
#include "restore/vma_check.h"
#include "util/log.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { READ_IOVECS = 1024, READ_BYTES = 64 << 20 };

static bool is_file(const VmaEntry *vma)
{
	return vma->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED | VMA_AREA_MEMFD);
}

static bool is_segment(const VmaEntry *vma)
{
	return !is_file(vma) && vma->status & (VMA_ANON_SHARED | VMA_AREA_SYSVIPC);
}

static uint32_t open_flags(const VmaEntry *vma)
{
	if (vma->has_fdflags)
		return vma->fdflags & (O_ACCMODE | O_NOATIME);
	if (vma->status & VMA_FILE_SHARED && vma->prot & PROT_WRITE)
		return O_RDWR;
	return O_RDONLY;
}

static struct map_file *find_map(struct compose *compose, const VmaEntry *vma)
{
	for (size_t i = 0; i < compose->nr_maps; i++) {
		struct map_file *map = &compose->maps[i];

		if (map->shmid == vma->shmid && map->is_segment == is_segment(vma) &&
		    (map->is_segment || map->flags == open_flags(vma)))
			return map;
	}
	return NULL;
}

static int open_map(struct compose *compose, const VmaEntry *vma)
{
	struct map_file *map = &compose->maps[compose->nr_maps];
	int ret = 0;

	*map = (struct map_file){
		.shmid = vma->shmid,
		.flags = open_flags(vma),
		.is_segment = is_segment(vma),
		.fd = -1,
	};
	if (map->is_segment) {
		map->fd = fcntl(shmem_fd(compose->restore, vma->shmid), F_DUPFD_CLOEXEC, 0);
		if (map->fd < 0)
			return log_errno("task %d: area %#lx: shared segment %lu",
					 compose->task->pid, vma->start, vma->shmid);
	} else {
		ret = files_open_path(compose->restore, vma->shmid, map->flags | O_CLOEXEC,
				      &map->fd);
	}
	if (!ret)
		compose->nr_maps++;
	return ret;
}

static int open_pages(struct compose *compose, const struct page_extent *extent)
{
	for (size_t i = 0; i < compose->nr_pages; i++) {
		if (compose->pages[i].source_fd == extent->fd)
			return 0;
	}
	compose->pages =
		reallocarray(compose->pages, compose->nr_pages + 1, sizeof(*compose->pages));
	if (!compose->pages)
		return -ENOMEM;
	compose->pages[compose->nr_pages].source_fd = extent->fd;
	compose->pages[compose->nr_pages].fd = fcntl(extent->fd, F_DUPFD_CLOEXEC, 0);
	if (compose->pages[compose->nr_pages].fd < 0)
		return log_errno("task %d: pages file", compose->task->pid);
	compose->nr_pages++;
	return 0;
}

int compose_mem_open(struct compose *compose)
{
	struct restore_task *rt = compose->task->restore;
	const struct page_extent *extents = rt->pages ? page_source_extents(rt->pages) : NULL;
	size_t nr_extents = rt->pages ? page_source_extent_count(rt->pages) : 0;
	int ret;

	compose->maps = calloc(rt->mm->n_vmas + 1, sizeof(*compose->maps));
	if (!compose->maps)
		return -ENOMEM;
	for (size_t i = 0; i < rt->mm->n_vmas; i++) {
		const VmaEntry *vma = rt->mm->vmas[i];

		if (!vma_is_mapped(vma) || !(is_file(vma) || is_segment(vma)) ||
		    find_map(compose, vma))
			continue;
		ret = open_map(compose, vma);
		if (ret)
			return ret;
	}
	for (size_t i = 0; i < nr_extents; i++) {
		if (extents[i].origin != PAGE_LOCAL ||
		    lazy_plan_covers(&rt->lazy, extents[i].vaddr))
			continue;
		ret = open_pages(compose, &extents[i]);
		if (ret)
			return ret;
	}
	return 0;
}

/* Reads collected while neither the pages file nor its offset jumps. */
struct reader {
	struct compose *compose;
	struct iovec iov[READ_IOVECS];
	size_t count;
	int fd;
	uint64_t offset, bytes;
};

static int flush_reads(struct reader *reader)
{
	struct compose *compose = reader->compose;
	uint64_t iov =
		region_copy(&compose->region, reader->iov, reader->count * sizeof(*reader->iov));
	struct restorer_call *call;

	if (!reader->count)
		return 0;
	call = calls_must(&compose->calls, RESTORER_WHAT_READ, RESTORER_OP_READ, reader->fd, iov,
			  reader->count, reader->offset);
	if (call)
		call->expect = reader->bytes;
	reader->count = 0;
	reader->bytes = 0;
	return 0;
}

static void add_read(void *context, const struct page_run *run)
{
	struct reader *reader = context;
	uint64_t vaddr = run->vaddr, len = run->len, offset = run->offset;

	while (len) {
		uint64_t piece;

		if (reader->count == READ_IOVECS || reader->bytes >= READ_BYTES ||
		    (reader->count &&
		     (reader->fd != run->fd || reader->offset + reader->bytes != offset)))
			flush_reads(reader);
		if (!reader->count) {
			reader->fd = run->fd;
			reader->offset = offset;
		}
		piece = READ_BYTES - reader->bytes < len ? READ_BYTES - reader->bytes : len;
		reader->iov[reader->count++] = (struct iovec){ (void *)(uintptr_t)vaddr, piece };
		reader->bytes += piece;
		offset += piece;
		vaddr += piece;
		len -= piece;
	}
}

static int pages_fd(const struct compose *compose, const struct page_extent *extent)
{
	for (size_t i = 0; i < compose->nr_pages; i++) {
		if (compose->pages[i].source_fd == extent->fd)
			return compose->pages[i].fd;
	}
	return -1;
}

void compose_each_run(struct compose *compose, size_t index, bool is_long,
		      void (*each)(void *context, const struct page_run *run), void *context)
{
	const struct restore_task *rt = compose->task->restore;
	const VmaEntry *vma = rt->mm->vmas[index];
	const struct page_extent *extent, *last;

	if (!vma_is_mapped(vma) || inherit_holds(rt, index) || !rt->pages ||
	    lazy_plan_covers(&rt->lazy, vma->start))
		return;
	extent = page_source_find(rt->pages, vma->start);
	last = page_source_extents(rt->pages) + page_source_extent_count(rt->pages);
	for (; extent && extent < last && extent->vaddr < vma->end; extent++) {
		uint64_t start = extent->vaddr > vma->start ? extent->vaddr : vma->start;
		uint64_t end = extent->vaddr + extent->len;
		struct page_run run = {
			.vaddr = start,
			.offset = extent->offset + (start - extent->vaddr),
			.fd = pages_fd(compose, extent),
			.source_fd = extent->fd,
		};

		run.len = (end < vma->end ? end : vma->end) - start;
		if (fill_takes(vma, run.len) == is_long)
			each(context, &run);
	}
}

static bool has_pages(const struct compose *compose, const VmaEntry *vma)
{
	const struct page_source *source = compose->task->restore->pages;
	const struct page_extent *extent;

	if (!source || lazy_plan_covers(&compose->task->restore->lazy, vma->start))
		return false;
	extent = page_source_find(source, vma->start);
	return extent && extent->vaddr < vma->end;
}

static void map_area(struct compose *compose, const VmaEntry *vma)
{
	const uint32_t known = MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN |
			       MAP_NORESERVE | MAP_HUGETLB | MAP_DROPPABLE |
			       (uint32_t)MAP_HUGE_MASK << MAP_HUGE_SHIFT;
	uint32_t flags = vma->flags & known;
	uint32_t prot = vma->prot;
	const struct map_file *map =
		is_file(vma) || is_segment(vma) ? find_map(compose, vma) : NULL;

	if (map)
		flags &= ~(uint32_t)(MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_MASK << MAP_HUGE_SHIFT);
	else
		flags |= MAP_ANONYMOUS;
	if (has_pages(compose, vma))
		prot |= PROT_WRITE;
	calls_expect(&compose->calls, RESTORER_WHAT_MAP, vma->start, SYS_mmap, vma->start,
		     vma->end - vma->start, prot, flags | MAP_FIXED, map ? map->fd : -1,
		     map ? vma->pgoff : 0);
}

/* Advice that shapes how pages come goes before they are read, the rest too: none removes any. */
static void advise_area(struct compose *compose, const VmaEntry *vma)
{
	uint64_t left = vma->has_madv ? vma->madv : 0;

	while (left) {
		int advice = __builtin_ctzll(left);
		bool may_fail = advice == MADV_MERGEABLE || advice == MADV_HUGEPAGE ||
				advice == MADV_NOHUGEPAGE;

		left &= left - 1;
		calls_add(&compose->calls, RESTORER_WHAT_ADVISE,
			  may_fail ? RESTORER_ANY : RESTORER_OK, SYS_madvise,
			  calls_args(vma->start, vma->end - vma->start, advice, 0, 0, 0));
	}
}

static void lock_area(struct compose *compose, const VmaEntry *vma)
{
	bool is_on_fault = vma->has_lock_on_fault && vma->lock_on_fault;

	if (vma_is_mapped(vma) && (vma->flags & MAP_LOCKED || is_on_fault))
		calls_must(&compose->calls, RESTORER_WHAT_LOCK, SYS_mlock2, vma->start,
			   vma->end - vma->start, is_on_fault ? MLOCK_ONFAULT : 0);
}

static void close_all(struct compose *compose)
{
	for (size_t i = 0; i < compose->nr_maps; i++)
		calls_try(&compose->calls, RESTORER_WHAT_CLOSE, SYS_close, compose->maps[i].fd);
	for (size_t i = 0; i < compose->nr_pages; i++)
		calls_try(&compose->calls, RESTORER_WHAT_CLOSE, SYS_close, compose->pages[i].fd);
}

int compose_mem(struct compose *compose)
{
	const MmEntry *mm = compose->task->restore->mm;
	struct reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return -ENOMEM;
	reader->compose = compose;
	for (size_t i = 0; i < mm->n_vmas; i++) {
		if (!vma_is_mapped(mm->vmas[i]))
			continue;
		if (!inherit_holds(compose->task->restore, i))
			map_area(compose, mm->vmas[i]);
		advise_area(compose, mm->vmas[i]);
	}
	compose_fill(compose);
	for (size_t i = 0; i < mm->n_vmas; i++)
		compose_each_run(compose, i, false, add_read, reader);
	flush_reads(reader);
	free(reader);
	for (size_t i = 0; i < mm->n_vmas; i++) {
		const VmaEntry *vma = mm->vmas[i];

		if (vma_is_guard(vma))
			calls_must(&compose->calls, RESTORER_WHAT_ADVISE, SYS_madvise, vma->start,
				   vma->end - vma->start, MADV_GUARD_INSTALL);
		else if (inherit_holds(compose->task->restore, i) ||
			 (vma_is_mapped(vma) && has_pages(compose, vma) &&
			  !(vma->prot & PROT_WRITE)))
			calls_must(&compose->calls, RESTORER_WHAT_PROTECT, SYS_mprotect, vma->start,
				   vma->end - vma->start, vma->prot);
	}
	for (size_t i = 0; i < mm->n_vmas; i++)
		lock_area(compose, mm->vmas[i]);
	close_all(compose);
	return 0;
}
