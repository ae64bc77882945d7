// SPDX-License-Identifier: GPL-2.0
/*
 * Anonymous shared memory on the way back. The plan finds each segment that some area maps; the
 * root task makes it, before the tree is forked, as the kernel makes it for MAP_SHARED |
 * MAP_ANONYMOUS, and keeps a descriptor that all tasks map. Segments that the lazy-pages daemon
 * fills stay empty here.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "mem/mem.h"
#include "mem/page_source.h"
#include "mem/pagemap_flags.h"
#include "mem/segment_fill.h"
#include "restore/restore_task.h"
#include "util/bisect.h"
#include "util/log.h"
#include "util/scope.h"

/* Larger than any address space: an image that says so is damaged. */
#define SIZE_LIMIT (1ull << 47)

/* MAP_HUGETLB and the size of its pages, in mmap flags. */
#define HUGE_FLAGS (MAP_HUGETLB | 0x3fu << 26)

struct stretch {
	uint64_t start, end;
};

struct segment {
	uint64_t shmid;
	uint64_t size;
	uint32_t huge_flags;
	bool is_reserved;	   /* some area lacks MAP_NORESERVE */
	bool can_be_lazy;	   /* every area can be registered with a userfaultfd */
	struct page_source *pages; /* NULL: all zeros */
	struct stretch *mapped;	   /* what of it somebody maps */
	size_t nr_mapped;
	int fd; /* in the root task and its children */
};

struct shmem_table {
	struct segment *items; /* sorted by shmid */
	size_t count;
};

/* Where shmid is or belongs. */
static size_t position(const struct shmem_table *table, uint64_t shmid)
{
	return bisect(table->count, i, table->items[i].shmid >= shmid);
}

static struct segment *find(const struct shmem_table *table, uint64_t shmid)
{
	size_t at = table ? position(table, shmid) : 0;

	return table && at < table->count && table->items[at].shmid == shmid ? &table->items[at]
									     : NULL;
}

static struct segment *find_or_add(struct shmem_table *table, uint64_t shmid)
{
	struct segment *found = find(table, shmid);
	size_t at = position(table, shmid);

	if (found)
		return found;
	struct segment *grown = realloc(table->items, (table->count + 1) * sizeof(*grown));

	if (!grown)
		return NULL;
	table->items = grown;
	memmove(&grown[at + 1], &grown[at], (table->count++ - at) * sizeof(*grown));
	grown[at] = (struct segment){ .shmid = shmid, .can_be_lazy = true, .fd = -1 };
	return &grown[at];
}

/* ---- plan ---------------------------------------------------------------- */

static bool is_segment(const VmaEntry *vma)
{
	return vma->status & VMA_ANON_SHARED && !(vma->status & VMA_AREA_MEMFD);
}

static int plan_area(struct shmem_table *table, const struct task *task, const VmaEntry *vma)
{
	uint64_t len = vma->end - vma->start;

	if (vma->start >= vma->end || len > SIZE_LIMIT || vma->pgoff > SIZE_LIMIT - len) {
		log_err("task %d: area %#" PRIx64 ": no segment can be as large as %#" PRIx64
			" bytes at offset %#" PRIx64,
			task->pid, vma->start, len, vma->pgoff);
		return -EBADMSG;
	}
	struct segment *segment = find_or_add(table, vma->shmid);

	if (!segment)
		return log_ret(-ENOMEM, "shared segments");
	uint32_t huge_flags = vma->flags & MAP_HUGETLB ? vma->flags & HUGE_FLAGS : 0;

	if (segment->size && segment->huge_flags != huge_flags) {
		log_err("task %d: area %#" PRIx64 ": segment %" PRIu64
			" has pages of another size elsewhere",
			task->pid, vma->start, vma->shmid);
		return -EBADMSG;
	}
	segment->huge_flags = huge_flags;
	struct stretch *grown = realloc(segment->mapped, (segment->nr_mapped + 1) * sizeof(*grown));

	if (!grown)
		return log_ret(-ENOMEM, "shared segments");
	segment->mapped = grown;
	grown[segment->nr_mapped++] = (struct stretch){ vma->pgoff, vma->pgoff + len };
	if (vma->pgoff + len > segment->size)
		segment->size = vma->pgoff + len;
	if (!(vma->flags & MAP_NORESERVE))
		segment->is_reserved = true;
	/* What lazy_plan_build() leaves out would be reached without the daemon. */
	if (huge_flags || vma->flags & MAP_LOCKED || !(vma->status & VMA_AREA_REGULAR))
		segment->can_be_lazy = false;
	return 0;
}

static int plan_task(struct shmem_table *table, const struct task *task)
{
	const MmEntry *mm = task->restore ? task->restore->mm : NULL;
	int ret = 0;

	for (size_t i = 0; mm && !ret && i < mm->n_vmas; i++) {
		const VmaEntry *vma = mm->vmas[i];

		if (vma->status & VMA_AREA_SYSVIPC)
			ret = log_ret(
				-EOPNOTSUPP,
				"task %d: area %#" PRIx64
				": a System V shared memory segment, which is not restored yet",
				task->pid, vma->start);
		else if (is_segment(vma))
			ret = plan_area(table, task, vma);
	}
	return ret;
}

static uint64_t segment_page(const struct segment *segment)
{
	unsigned int shift = segment->huge_flags >> 26 & 0x3f;

	if (!segment->huge_flags)
		return 4096;
	return shift ? 1ull << shift : 2 << 20;
}

static uint64_t round_up(uint64_t size, uint64_t unit)
{
	return (size + unit - 1) / unit * unit;
}

static int compare_stretches(const void *left, const void *right)
{
	const struct stretch *a = left, *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* Sorts what is mapped, and joins what lies side by side or overlaps. */
static void join_mapped(struct segment *segment)
{
	struct stretch *mapped = segment->mapped;
	size_t count = 0;

	qsort(mapped, segment->nr_mapped, sizeof(*mapped), compare_stretches);
	for (size_t i = 0; i < segment->nr_mapped; i++) {
		if (!count || mapped[i].start > mapped[count - 1].end)
			mapped[count++] = mapped[i];
		else if (mapped[i].end > mapped[count - 1].end)
			mapped[count - 1].end = mapped[i].end;
	}
	segment->nr_mapped = count;
}

static bool is_all_mapped(struct segment *segment)
{
	const struct page_extent *extents = page_source_extents(segment->pages);
	size_t count = page_source_extent_count(segment->pages), at = 0;

	join_mapped(segment);
	for (size_t i = 0; i < count; i++) {
		uint64_t start = extents[i].vaddr, end = start + extents[i].len;

		while (at < segment->nr_mapped && segment->mapped[at].end <= start)
			at++;
		if (at == segment->nr_mapped || segment->mapped[at].start > start ||
		    segment->mapped[at].end < end)
			return false;
	}
	return true;
}

static bool is_all_local(const struct segment *segment)
{
	const struct page_extent *extents = page_source_extents(segment->pages);

	for (size_t i = 0; i < page_source_extent_count(segment->pages); i++) {
		if (extents[i].origin != PAGE_LOCAL)
			return false;
	}
	return true;
}

/* Opens the content, and makes the segment as large as that. */
static int plan_content(struct restore *restore, struct segment *segment)
{
	int ret = page_source_open(restore->images, PAGE_OBJECT_SHMEM, segment->shmid,
				   &segment->pages);

	if (ret == -ENOENT)
		return 0;
	if (ret)
		return ret;
	const struct page_extent *extents = page_source_extents(segment->pages);
	size_t count = page_source_extent_count(segment->pages);
	uint64_t end = count ? extents[count - 1].vaddr + extents[count - 1].len : 0;

	if (end > SIZE_LIMIT) {
		log_err("shared segment %" PRIu64 ": a page at %#" PRIx64 " cannot be",
			segment->shmid, end);
		return -EBADMSG;
	}
	if (end > segment->size)
		segment->size = round_up(end, segment_page(segment));
	/* The daemon puts pages where somebody maps them; a mapping may grow to the others. */
	if (!is_all_mapped(segment) && is_all_local(segment))
		segment->can_be_lazy = false;
	for (size_t i = 0; i < count; i++)
		if (extents[i].origin != PAGE_LOCAL && !shmem_is_lazy(restore, segment->shmid))
			return log_ret(-EOPNOTSUPP,
				       "shared segment %" PRIu64 ": page %#" PRIx64
				       " is on a page server, but not lazy",
				       segment->shmid, extents[i].vaddr);
	return 0;
}

int shmem_plan(struct restore *restore)
{
	const struct task *task;
	int ret = 0, first = 0;

	restore->shmem = calloc(1, sizeof(*restore->shmem));
	if (!restore->shmem)
		return log_ret(-ENOMEM, "shared segments");
	tree_for_each (task, &restore->tree) {
		ret = plan_task(restore->shmem, task);
		first = first ? first : ret;
	}
	for (size_t i = 0; i < restore->shmem->count; i++) {
		ret = plan_content(restore, &restore->shmem->items[i]);
		first = first ? first : ret;
	}
	return first;
}

bool shmem_is_lazy(const struct restore *restore, uint64_t shmid)
{
	const struct segment *segment = find(restore->shmem, shmid);

	return segment && restore->opts->lazy_pages && segment->can_be_lazy;
}

/* ---- in the root task ----------------------------------------------------- */

/*
 * The file behind an anonymous shared mapping can be opened through map_files only, which wants
 * CAP_CHECKPOINT_RESTORE. A memfd does the same, but maps shows another name.
 */
static int open_mapping(void *addr, uint64_t size)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/self/map_files/%" PRIxPTR "-%" PRIxPTR, (uintptr_t)addr,
		 (uintptr_t)addr + size);
	return open(path, O_RDWR | O_CLOEXEC);
}

static int create_memfd(const struct segment *segment)
{
	unsigned int huge = segment->huge_flags
				    ? MFD_HUGETLB | (segment->huge_flags & ~(uint32_t)MAP_HUGETLB)
				    : 0;
	scoped_fd int fd = memfd_create("/dev/zero", MFD_CLOEXEC | huge);

	if (fd < 0 || ftruncate(fd, (off_t)segment->size))
		return log_errno("shared segment %" PRIu64 ": create %" PRIu64 " bytes",
				 segment->shmid, segment->size);
	return take_fd(&fd);
}

static int create(struct segment *segment)
{
	int flags = MAP_SHARED | MAP_ANONYMOUS | (int)segment->huge_flags |
		    (segment->is_reserved ? 0 : MAP_NORESERVE);
	void *addr = mmap(NULL, segment->size, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (addr == MAP_FAILED)
		return log_errno("shared segment %" PRIu64 ": map %" PRIu64 " bytes",
				 segment->shmid, segment->size);
	segment->fd = open_mapping(addr, segment->size);
	munmap(addr, segment->size);
	if (segment->fd < 0)
		segment->fd = create_memfd(segment);
	return segment->fd < 0 ? segment->fd : 0;
}

int shmem_open_all(struct restore *restore)
{
	struct shmem_table *table = restore->shmem;
	int ret = 0;

	for (size_t i = 0; table && !ret && i < table->count; i++) {
		struct segment *segment = &table->items[i];
		bool is_lazy = shmem_is_lazy(restore, segment->shmid);

		ret = create(segment);
		if (!ret && segment->pages && !is_lazy)
			ret = segment_fill(segment->pages, segment->shmid, segment->fd);
		if (!ret)
			log_info("shared segment %" PRIu64 ": %" PRIu64 " bytes, %s",
				 segment->shmid, segment->size, is_lazy ? "lazy" : "filled");
	}
	return ret;
}

int shmem_fd(const struct restore *restore, uint64_t shmid)
{
	const struct segment *segment = find(restore->shmem, shmid);

	return segment ? segment->fd : -1;
}

int shmem_fill(const struct restore *restore, uint64_t shmid, int fd)
{
	struct page_source *pages;
	int ret = page_source_open(restore->images, PAGE_OBJECT_SHMEM, shmid, &pages);

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	ret = segment_fill(pages, shmid, fd);
	page_source_close(pages);
	return ret;
}

void shmem_free(struct restore *restore)
{
	struct shmem_table *table = restore->shmem;

	for (size_t i = 0; table && i < table->count; i++) {
		page_source_close(table->items[i].pages);
		free(table->items[i].mapped);
		if (table->items[i].fd >= 0)
			close(table->items[i].fd);
	}
	if (table)
		free(table->items);
	free(table);
	restore->shmem = NULL;
}
