// SPDX-License-Identifier: GPL-2.0
/*
 * Content of shared memory: anonymous shared mappings and memfds. Each file behind them is dumped
 * once, when it is met first, through a descriptor of our own; no page table is looked at, so what
 * nobody has mapped, or what is swapped out, is there as well.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "mem/mem.h"
#include "mem/page_copy.h"
#include "mem/pagemap_flags.h"
#include "mem/registry.h"
#include "transport/push.h"
#include "util/log.h"
#include "util/scope.h"

enum { PAGE = 4096 };

struct run_list {
	struct page_copy_run *items;
	size_t count, capacity;
	uint64_t bytes;
};

static int add_run(struct run_list *list, uint64_t start, uint64_t end)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 64;
		struct page_copy_run *grown = realloc(list->items, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->items = grown;
		list->capacity = capacity;
	}
	list->items[list->count++] = (struct page_copy_run){ start, end, true };
	list->bytes += end - start;
	return 0;
}

static uint64_t page_up(uint64_t offset)
{
	return (offset + PAGE - 1) / PAGE * PAGE;
}

/* tmpfs tells data (also swapped out) from holes exactly, by pages. */
static int find_tmpfs_data(int fd, uint64_t size, struct run_list *list)
{
	off_t at = 0;

	while ((uint64_t)at < size) {
		off_t start = lseek(fd, at, SEEK_DATA);

		if (start < 0)
			return errno == ENXIO ? 0 : -errno;
		off_t end = lseek(fd, start, SEEK_HOLE);

		if (end < 0)
			return -errno;
		int ret = add_run(list, (uint64_t)start / PAGE * PAGE, page_up((uint64_t)end));

		if (ret)
			return ret;
		at = end;
	}
	return 0;
}

static bool is_zero(const uint8_t *data, size_t len)
{
	return !data[0] && !memcmp(data, data + 1, len - 1);
}

/* hugetlbfs knows no SEEK_DATA; an absent huge page reads as zeros, and so it may stay absent. */
static int find_hugetlb_data(int fd, uint64_t size, uint64_t page_size, struct run_list *list)
{
	scoped_free uint8_t *buf = malloc(page_size);

	if (!buf)
		return -ENOMEM;
	for (uint64_t at = 0; at < size; at += page_size) {
		for (uint64_t done = 0; done < page_size;) {
			ssize_t got = pread(fd, buf + done, page_size - done, (off_t)(at + done));

			if (got <= 0)
				return got ? -errno : -EIO;
			done += (uint64_t)got;
		}
		int ret = is_zero(buf, page_size) ? 0 : add_run(list, at, at + page_size);

		if (ret)
			return ret;
	}
	return 0;
}

static int find_data(int fd, const struct stat *st, struct run_list *list)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return -errno;
	if (fs.f_type == HUGETLBFS_MAGIC)
		return find_hugetlb_data(fd, (uint64_t)st->st_size, (uint64_t)fs.f_bsize, list);
	return find_tmpfs_data(fd, (uint64_t)st->st_size, list);
}

/* Of all tasks' mappings of the file. */
static uint64_t mapped_end(const struct shmem_registry *registry, const struct stat *st)
{
	uint64_t end = 0;

	for (size_t i = 0; i < registry->nr_tasks; i++) {
		const struct proc_vmas *vmas = &registry->tasks[i].vmas;

		for (size_t j = 0; j < vmas->count; j++) {
			const struct proc_vma *vma = &vmas->items[j];

			if (vma->dev == st->st_dev && vma->ino == st->st_ino &&
			    vma->pgoff + (vma->end - vma->start) > end)
				end = vma->pgoff + (vma->end - vma->start);
		}
	}
	return end;
}

/*
 * CRIU makes an anonymous segment as large as its mappings, and gets an entry that begins inside
 * and ends outside wrong as a whole; one that is all outside it leaves alone.
 */
static int write_pagemap(struct dump *dump, uint32_t shmid, uint32_t pages_id,
			 const struct stat *st, const struct run_list *list)
{
	struct pagemap_writer writer = { 0 };
	int ret = pagemap_writer_begin(dump->images, dump->push, IMG_SHMEM_PAGEMAP, shmid, pages_id,
				       &writer);

	writer.boundary = mapped_end(dump->shmem, st);
	for (size_t i = 0; !ret && i < list->count; i++)
		ret = pagemap_writer_add(&writer, list->items[i].start, list->items[i].end,
					 PE_PRESENT);
	return pagemap_writer_end(&writer, ret);
}

static int write_pages(struct dump *dump, uint32_t shmid, uint32_t pages_id, int fd,
		       const struct stat *st, const struct run_list *list)
{
	scoped_image struct image *pages = NULL;
	char what[48];
	struct page_push *push = dump->push;
	int ret = push ? 0 : image_create(dump->images, IMG_PAGES, pages_id, &pages);

	if (ret)
		return ret;
	snprintf(what, sizeof(what), "shared segment %u", shmid);
	struct page_copy copy = {
		.what = what,
		.in_fd = fd,
		.in_size = (uint64_t)st->st_size,
		.runs = list->items,
		.nr_runs = list->count,
		.out_fd = push ? 0 : image_fd(pages),
		.nr_threads = push ? 1 : page_copy_threads(list->bytes),
		.sink = push ? push_bytes : NULL,
		.sink_arg = push,
	};
	ret = copy.out_fd < 0 ? copy.out_fd : page_copy_run(&copy);
	return ret ? ret : image_close(&pages);
}

static int dump_content(struct dump *dump, uint32_t shmid, int fd, const struct stat *st)
{
	struct run_list list = { 0 };
	uint32_t pages_id = dump->next_pages_id++;
	int ret = find_data(fd, st, &list);

	if (ret)
		log_ret(ret, "shared segment %u: find its pages", shmid);
	if (!ret)
		ret = write_pagemap(dump, shmid, pages_id, st, &list);
	if (!ret)
		ret = write_pages(dump, shmid, pages_id, fd, st, &list);
	if (!ret) {
		dump->counters.shpages_scanned += page_up((uint64_t)st->st_size) / PAGE;
		dump->counters.shpages_written += list.bytes / PAGE;
		log_info("shared segment %u: %" PRIu64 " of %" PRIu64 " bytes", shmid, list.bytes,
			 (uint64_t)st->st_size);
	}
	free(list.items);
	return ret;
}

struct mem_segment *segment_find(struct shmem_registry *registry, dev_t dev, ino_t ino)
{
	for (size_t i = 0; i < registry->nr_segments; i++)
		if (registry->segments[i].dev == dev && registry->segments[i].ino == ino)
			return &registry->segments[i];
	return NULL;
}

static bool is_taken(const struct shmem_registry *registry, uint32_t shmid)
{
	for (size_t i = 0; i < registry->nr_segments; i++)
		if (registry->segments[i].shmid == shmid)
			return true;
	return false;
}

/* The inode number, as CRIU has it, unless tmpfs and hugetlbfs happen to have the same. */
static int add_segment(struct shmem_registry *registry, const struct stat *st,
		       struct mem_segment **out)
{
	uint32_t shmid = (uint32_t)st->st_ino;
	struct mem_segment *grown =
		realloc(registry->segments, (registry->nr_segments + 1) * sizeof(*grown));

	if (!grown)
		return log_ret(-ENOMEM, "shared segment %u", shmid);
	registry->segments = grown;
	while (!shmid || is_taken(registry, shmid))
		shmid++;
	*out = &grown[registry->nr_segments++];
	**out = (struct mem_segment){ st->st_dev, st->st_ino, shmid, false };
	return 0;
}

static int dump_once(struct dump *dump, int fd, bool has_descriptor, uint32_t *shmid)
{
	struct mem_segment *segment;
	char path[32];
	struct stat st;

	/* A description of our own: lseek() must not move the task's file position. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	scoped_fd int own = open(path, O_RDONLY | O_CLOEXEC);

	if (own < 0 || fstat(own, &st))
		return log_errno("shared segment: open %s", path);
	int ret = mem_dump_begin(dump);

	if (ret)
		return ret;
	segment = segment_find(dump->shmem, st.st_dev, st.st_ino);
	if (!segment) {
		ret = add_segment(dump->shmem, &st, &segment);

		if (!ret)
			ret = dump_content(dump, segment->shmid, own, &st);
		if (ret)
			return ret;
	}
	segment->has_descriptor = segment->has_descriptor || has_descriptor;
	*shmid = segment->shmid;
	return 0;
}

int mem_dump_segment(struct dump *dump, int fd, uint32_t *shmid)
{
	return dump_once(dump, fd, true, shmid);
}

int segment_dump_mapped(struct dump *dump, int fd, uint32_t *shmid)
{
	return dump_once(dump, fd, false, shmid);
}
