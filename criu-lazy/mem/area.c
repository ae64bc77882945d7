// SPDX-License-Identifier: GPL-2.0
#include "mem/area.h"

#include <string.h>
#include <sys/mman.h>

#include "mem/pagemap_flags.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08 /* since 6.11; takes the place of MAP_PRIVATE */
#endif

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

enum { PRIVATE_ANON = VMA_AREA_REGULAR | VMA_ANON_PRIVATE };

static bool starts_with(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

static bool is_kernel_area(const struct proc_vma *vma)
{
	return starts_with(vma->name, "[vvar") || !strcmp(vma->name, "[vdso]") ||
	       !strcmp(vma->name, "[vsyscall]");
}

static bool has_file(const struct proc_vma *vma)
{
	return vma->ino || vma->dev || vma->name[0] == '/';
}

/* Anonymous memory that the kernel backs with a file that nobody can open. */
static bool is_anonymous_file(const struct proc_vma *vma)
{
	return (vma->flags & VMA_HUGETLB && !strcmp(vma->name, "/anon_hugepage (deleted)")) ||
	       starts_with(vma->name, "[anon_shmem:");
}

/* Anonymous shared memory, or a private mapping of it by a descriptor from map_files. */
static bool is_zero_file(const struct proc_vma *vma, uint64_t shm_dev)
{
	return vma->dev == shm_dev && !strcmp(vma->name, "/dev/zero (deleted)");
}

static const char *refuse_name(const struct proc_vma *vma, uint64_t shm_dev)
{
	bool is_internal = vma->dev == shm_dev && vma->ino;

	if (starts_with(vma->name, "/[aio]"))
		return "the ring of an asynchronous I/O context (io_setup), which is not supported";
	if (starts_with(vma->name, "socket:["))
		return "the ring of a packet socket, which is not supported";
	if (starts_with(vma->name, "anon_inode:"))
		return "a mapping of a kernel object that has no content of its own to dump";
	if (starts_with(vma->name, "[uprobes]"))
		return "the kernel's page of uprobes: remove them first";
	if (starts_with(vma->name, "/SYSV") && (is_internal || vma->flags & VMA_HUGETLB))
		return "a System V shared memory segment of the host's IPC namespace";
	if (is_internal && !is_anonymous_file(vma) && strcmp(vma->name, "/dev/zero (deleted)") &&
	    !starts_with(vma->name, "/memfd:"))
		return "kernel memory of a device driver";
	return NULL;
}

static const char *refuse(const struct proc_vma *vma, uint64_t shm_dev)
{
	if (vma->flags & VMA_UFFD)
		return "registered with a userfaultfd: its user (a lazy restore that is not "
		       "complete, perhaps) has to let go of it first";
	if (is_kernel_area(vma))
		return NULL;
	if (vma->flags & (VMA_IO | VMA_PFNMAP))
		return "device memory";
	if (vma->flags & VMA_SHADOW_STACK)
		return "a shadow stack, which is not supported";
	/* The kernel itself gives execute-only memory a key. */
	if (vma->pkey && vma->prot != PROT_EXEC)
		return "under a memory protection key, which is not supported";
	return refuse_name(vma, shm_dev);
}

static uint32_t mmap_flags(const struct proc_vma *vma)
{
	uint32_t flags = vma->is_shared ? MAP_SHARED : MAP_PRIVATE;

	if (vma->flags & VMA_DROPPABLE)
		flags = MAP_DROPPABLE;
	if (vma->flags & VMA_GROWS_DOWN)
		flags |= MAP_GROWSDOWN;
	if (vma->flags & VMA_LOCKED)
		flags |= MAP_LOCKED;
	if (vma->flags & VMA_NO_RESERVE)
		flags |= MAP_NORESERVE;
	if (vma->flags & VMA_HUGETLB && vma->page_size)
		flags |= MAP_HUGETLB | (uint32_t)__builtin_ctzll(vma->page_size) << MAP_HUGE_SHIFT;
	return flags;
}

static uint64_t advice(const struct proc_vma *vma)
{
	static const struct {
		enum proc_vma_flag flag;
		int advice;
	} table[] = {
		{ VMA_RANDOM, MADV_RANDOM },	  { VMA_SEQUENTIAL, MADV_SEQUENTIAL },
		{ VMA_DONT_COPY, MADV_DONTFORK }, { VMA_MERGEABLE, MADV_MERGEABLE },
		{ VMA_HUGEPAGE, MADV_HUGEPAGE },  { VMA_NO_HUGEPAGE, MADV_NOHUGEPAGE },
		{ VMA_DONT_DUMP, MADV_DONTDUMP }, { VMA_WIPE_ON_FORK, MADV_WIPEONFORK },
	};
	uint64_t bits = 0;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (vma->flags & table[i].flag)
			bits |= 1ull << table[i].advice;
	return bits;
}

static void classify_kernel_area(struct mem_area *area)
{
	area->flags = MAP_PRIVATE | MAP_ANONYMOUS;
	if (!strcmp(area->vma->name, "[vdso]")) {
		area->status = PRIVATE_ANON | VMA_AREA_VDSO;
		area->is_whole = true;
	} else if (!strcmp(area->vma->name, "[vsyscall]")) {
		area->status = VMA_ANON_PRIVATE | VMA_AREA_VSYSCALL;
	} else {
		area->status = PRIVATE_ANON | VMA_AREA_VVAR;
	}
}

static void classify_file(struct mem_area *area, uint64_t shm_dev)
{
	area->backing = MEM_BACKING_FILE;
	area->status =
		VMA_AREA_REGULAR | (area->vma->is_shared ? VMA_FILE_SHARED : VMA_FILE_PRIVATE);
	if (starts_with(area->vma->name, "/memfd:") || is_zero_file(area->vma, shm_dev))
		area->status |= VMA_AREA_MEMFD;
	area->has_own_pages = !area->vma->is_shared;
}

static void classify_anon_shared(struct mem_area *area)
{
	area->backing = MEM_BACKING_SEGMENT;
	area->flags |= MAP_ANONYMOUS;
	area->status = VMA_AREA_REGULAR | VMA_ANON_SHARED;
}

static void classify_anon_private(struct mem_area *area)
{
	const struct proc_vma *vma = area->vma;

	area->flags |= MAP_ANONYMOUS;
	area->status = PRIVATE_ANON | (!strcmp(vma->name, "[heap]") ? VMA_AREA_HEAP : 0);
	/* The kernel may drop such pages at any time, and cryptographic state in them (the vDSO's
	 * getrandom) must not come to life twice. */
	area->has_own_pages = !(vma->flags & VMA_DROPPABLE);
	area->is_lazy = !(vma->flags & (VMA_LOCKED | VMA_HUGETLB));
}

void mem_area_make_memfd(struct mem_area *area)
{
	area->backing = MEM_BACKING_FILE;
	area->flags &= ~(uint32_t)MAP_ANONYMOUS;
	area->status = VMA_AREA_REGULAR | VMA_FILE_SHARED | VMA_AREA_MEMFD;
}

const char *mem_area_classify(const struct proc_vma *vma, uint64_t shm_dev, struct mem_area *out)
{
	const char *refusal = refuse(vma, shm_dev);

	if (refusal)
		return refusal;
	*out = (struct mem_area){
		.vma = vma,
		.end = vma->end,
		.flags = mmap_flags(vma),
		.madv = advice(vma),
	};
	if (is_kernel_area(vma))
		classify_kernel_area(out);
	else if (vma->is_shared && (is_anonymous_file(vma) || is_zero_file(vma, shm_dev)))
		classify_anon_shared(out);
	else if (has_file(vma) && !is_anonymous_file(vma))
		classify_file(out, shm_dev);
	else
		classify_anon_private(out);
	return NULL;
}
