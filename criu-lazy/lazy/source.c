// SPDX-License-Identifier: GPL-2.0
#include "lazy/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "transport/wire.h"
#include "util/log.h"
#include "util/scope.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define WINDOW (2ull << 20)

/* The kernel reads ahead of us while we copy: the engine, who serves faults, is not to wait for a
 * disk where it can be helped. */
enum { WINDOWS_AHEAD = 4 };

enum window_flag { WINDOW_POPULATED = 1, WINDOW_ADVISED = 2 };

struct mapped_file {
	int fd; /* borrowed from the page source */
	char *base;
	uint64_t size;
	uint8_t *windows; /* enum window_flag */
};

struct lazy_source {
	enum page_object object;
	uint64_t id;
	struct page_source *pages; /* NULL: none */
	struct mapped_file *files;
	size_t nr_files;
	struct landing *landing; /* NULL: all pages are local */
};

static int map_file(struct lazy_source *source, int fd)
{
	struct mapped_file *file = &source->files[source->nr_files];
	struct stat st;

	if (fstat(fd, &st))
		return log_errno("pages file: stat");
	*file = (struct mapped_file){ .fd = fd, .size = (uint64_t)st.st_size };
	file->windows = calloc(1, file->size / WINDOW + 1);
	if (!file->windows)
		return -ENOMEM;
	file->base = mmap(NULL, file->size, PROT_READ, MAP_SHARED, fd, 0);
	if (file->base == MAP_FAILED) {
		free(file->windows);
		return log_errno("pages file: map %" PRIu64 " bytes", file->size);
	}
	munlock(file->base, file->size); /* page cache is not to be pinned by mlockall */
	source->nr_files++;
	return 0;
}

static struct mapped_file *find_file(struct lazy_source *source, int fd)
{
	for (size_t i = 0; i < source->nr_files; i++) {
		if (source->files[i].fd == fd)
			return &source->files[i];
	}
	return NULL;
}

static int map_files(struct lazy_source *source)
{
	size_t count = page_source_extent_count(source->pages);
	const struct page_extent *extents = page_source_extents(source->pages);
	int last = -1;

	for (size_t i = 0; i < count; i++) {
		struct mapped_file *grown;
		int ret;

		if (extents[i].origin != PAGE_LOCAL || extents[i].fd == last ||
		    find_file(source, extents[i].fd))
			continue;
		grown = realloc(source->files, (source->nr_files + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		source->files = grown;
		ret = map_file(source, extents[i].fd);
		if (ret)
			return ret;
		last = extents[i].fd;
	}
	return 0;
}

uint64_t lazy_source_object(const struct lazy_source *source)
{
	return wire_object(source->object == PAGE_OBJECT_SHMEM ? WIRE_SHMEM : WIRE_TASK,
			   source->id);
}

static int make_landing(struct lazy_source *source)
{
	size_t count = page_source_extent_count(source->pages), nr_runs = 0;
	const struct page_extent *extents = page_source_extents(source->pages);
	scoped_free struct landing_run *runs = NULL;

	for (size_t i = 0; i < count; i++)
		nr_runs += extents[i].origin == PAGE_REMOTE;
	if (!nr_runs)
		return 0;
	runs = calloc(nr_runs, sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	nr_runs = 0;
	for (size_t i = 0; i < count; i++) {
		if (extents[i].origin == PAGE_REMOTE)
			runs[nr_runs++] = (struct landing_run){ extents[i].vaddr,
								extents[i].len / WIRE_PAGE };
	}
	return landing_new(lazy_source_object(source), runs, nr_runs, source, &source->landing);
}

int lazy_source_open(struct image_dir *images, enum page_object object, uint64_t id,
		     struct lazy_source **out)
{
	struct lazy_source *source = calloc(1, sizeof(*source));
	int ret;

	if (!source)
		return -ENOMEM;
	source->object = object;
	source->id = id;
	ret = page_source_open(images, object, id, &source->pages);
	if (!ret)
		ret = map_files(source);
	if (!ret)
		ret = make_landing(source);
	if (ret && ret != -ENOENT) {
		lazy_source_close(source);
		return ret;
	}
	*out = source;
	return 0;
}

void lazy_source_close(struct lazy_source *source)
{
	if (!source)
		return;
	for (size_t i = 0; i < source->nr_files; i++) {
		munmap(source->files[i].base, source->files[i].size);
		free(source->files[i].windows);
	}
	free(source->files);
	landing_free(source->landing);
	if (source->pages)
		page_source_close(source->pages);
	free(source);
}

const struct page_source *lazy_source_pages(const struct lazy_source *source)
{
	return source->pages;
}

bool lazy_source_is(const struct lazy_source *source, enum page_object object, uint64_t id)
{
	return source->object == object && source->id == id;
}

uint64_t lazy_source_end(const struct lazy_source *source)
{
	size_t count = source->pages ? page_source_extent_count(source->pages) : 0;
	const struct page_extent *last;

	if (!count)
		return 0;
	last = &page_source_extents(source->pages)[count - 1];
	return last->vaddr + last->len;
}

/* Page table entries made ahead: without them every copy takes the kernel's slow path. */
static void read_ahead(struct mapped_file *file, uint64_t window)
{
	for (uint64_t i = window; i <= window + WINDOWS_AHEAD && i * WINDOW < file->size; i++) {
		if (file->windows[i] & (WINDOW_ADVISED | WINDOW_POPULATED))
			continue;
		file->windows[i] |= WINDOW_ADVISED;
		posix_fadvise(file->fd, (off_t)(i * WINDOW), WINDOW, POSIX_FADV_WILLNEED);
	}
}

static void bring_near(struct mapped_file *file, uint64_t offset, uint64_t len)
{
	for (uint64_t at = offset / WINDOW * WINDOW; at < offset + len; at += WINDOW) {
		uint64_t size = file->size - at < WINDOW ? file->size - at : WINDOW;

		if (file->windows[at / WINDOW] & WINDOW_POPULATED)
			continue;
		read_ahead(file, at / WINDOW);
		file->windows[at / WINDOW] |= WINDOW_POPULATED;
		/* A failure shows again, with an address, when the page is copied. */
		madvise(file->base + at, size, MADV_POPULATE_READ);
	}
}

static enum lazy_bytes look_landed(const struct lazy_source *source, uint64_t image, uint64_t len,
				   uint64_t *avail, const void **bytes)
{
	switch (landing_look(source->landing, image, len, avail, bytes)) {
	case LANDING_BYTES:
		return LAZY_HERE;
	case LANDING_ZEROS:
		return LAZY_ZEROS;
	case LANDING_GONE:
		return LAZY_LOST;
	default:
		return LAZY_ABSENT;
	}
}

enum lazy_bytes lazy_source_look(struct lazy_source *source, uint64_t image, uint64_t len,
				 bool bulk, uint64_t *avail, const void **bytes)
{
	const struct page_extent *extent =
		source->pages ? page_source_find(source->pages, image) : NULL;
	struct mapped_file *file;
	uint64_t skip;

	*avail = len;
	if (!extent)
		return LAZY_HOLE;
	if (extent->vaddr > image) {
		if (extent->vaddr - image < len)
			*avail = extent->vaddr - image;
		return LAZY_HOLE;
	}
	skip = image - extent->vaddr;
	if (extent->len - skip < len)
		*avail = extent->len - skip;
	if (extent->origin == PAGE_REMOTE)
		return look_landed(source, image, *avail, avail, bytes);
	file = find_file(source, extent->fd);
	if (bulk)
		bring_near(file, extent->offset + skip, *avail);
	*bytes = file->base + extent->offset + skip;
	return LAZY_HERE;
}

struct landing *lazy_source_landing(const struct lazy_source *source)
{
	return source->landing;
}

uint64_t lazy_source_owe(const struct lazy_source *source, uint64_t image, uint64_t len,
			 struct owed_bits *bits)
{
	const struct page_extent *extent, *end;
	uint64_t count = 0;

	if (!source->pages)
		return 0;
	extent = page_source_find(source->pages, image);
	end = page_source_extents(source->pages) + page_source_extent_count(source->pages);
	for (; extent && extent < end && extent->vaddr < image + len; extent++) {
		uint64_t from = extent->vaddr > image ? extent->vaddr : image;
		uint64_t to = extent->vaddr + extent->len;

		if (to > image + len)
			to = image + len;
		count += owed_bits_set(bits, from, to - from);
	}
	return count;
}

int lazy_source_read(struct lazy_source *source, uint64_t image, void *buf, uint64_t len)
{
	const struct page_extent *extent = page_source_find(source->pages, image);
	uint64_t avail;
	const void *bytes;

	if (!extent || extent->origin == PAGE_LOCAL)
		return page_source_read(source->pages, image, buf, len);
	if (lazy_source_look(source, image, len, false, &avail, &bytes) != LAZY_HERE || avail < len)
		return -ENODATA;
	memcpy(buf, bytes, len);
	return 0;
}
