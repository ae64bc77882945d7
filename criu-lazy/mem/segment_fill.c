// SPDX-License-Identifier: GPL-2.0
#include "mem/segment_fill.h"

#include <inttypes.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "util/log.h"
#include "util/scope.h"

enum { PAGE = 4096, BUFFER = 512 << 10 };

struct fill {
	const struct page_source *pages;
	uint64_t shmid;
	int fd;
	uint64_t size;
	uint8_t *buf; /* BUFFER bytes */
};

static int write_all(const struct fill *fill, const uint8_t *data, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t put = pwrite(fill->fd, data, len, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return log_ret(put ? -errno : -ENOSPC,
				       "shared segment %" PRIu64 ": write at %" PRIu64, fill->shmid,
				       offset);
		data += put;
		offset += (uint64_t)put;
		len -= (size_t)put;
	}
	return 0;
}

/* tmpfs: write(2) does not zero the page before. The last page is cut where the file ends. */
static int fill_tmpfs(const struct fill *fill, const struct page_extent *extent)
{
	int ret = 0;

	for (uint64_t done = 0; !ret && done < extent->len; done += BUFFER) {
		uint64_t at = extent->vaddr + done;
		size_t len = extent->len - done < BUFFER ? (size_t)(extent->len - done) : BUFFER;

		ret = page_source_read(fill->pages, at, fill->buf, len);
		if (at + len > fill->size)
			len = (size_t)(fill->size - at);
		if (!ret)
			ret = write_all(fill, fill->buf, len, at);
	}
	return ret;
}

/* hugetlbfs has no write(2). */
static int fill_mapped(const struct fill *fill, const struct page_extent *extent, uint64_t unit)
{
	uint64_t start = extent->vaddr / unit * unit;
	size_t len = (size_t)(extent->vaddr + extent->len - start + unit - 1) / unit * unit;
	uint8_t *area = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fill->fd, (off_t)start);

	if (area == MAP_FAILED)
		return log_errno("shared segment %" PRIu64 ": map %zu bytes at %" PRIu64,
				 fill->shmid, len, start);
	int ret = page_source_read(fill->pages, extent->vaddr, area + (extent->vaddr - start),
				   (size_t)extent->len);

	munmap(area, len);
	return ret;
}

static int check_extent(const struct fill *fill, const struct page_extent *extent)
{
	uint64_t end = (fill->size + PAGE - 1) / PAGE * PAGE;

	if (extent->vaddr + extent->len > end)
		return log_ret(-EBADMSG,
			       "shared segment %" PRIu64 ": page %#" PRIx64
			       " is beyond its %" PRIu64 " bytes",
			       fill->shmid, extent->vaddr + extent->len - PAGE, fill->size);
	if (extent->origin != PAGE_LOCAL)
		return log_ret(-ENODATA,
			       "shared segment %" PRIu64 ": page %#" PRIx64 " is not here",
			       fill->shmid, extent->vaddr);
	return 0;
}

int segment_fill(const struct page_source *pages, uint64_t shmid, int fd)
{
	scoped_free uint8_t *buf = malloc(BUFFER);
	struct stat st;
	struct statfs fs;
	int ret = 0;

	if (!buf)
		return log_ret(-ENOMEM, "shared segment %" PRIu64, shmid);
	if (fstat(fd, &st) || fstatfs(fd, &fs))
		return log_errno("shared segment %" PRIu64 ": stat", shmid);
	struct fill fill = { pages, shmid, fd, (uint64_t)st.st_size, buf };
	const struct page_extent *extent = page_source_extents(pages);
	const struct page_extent *end = extent + page_source_extent_count(pages);

	for (; !ret && extent < end; extent++) {
		ret = check_extent(&fill, extent);
		if (!ret)
			ret = fs.f_type == HUGETLBFS_MAGIC
				      ? fill_mapped(&fill, extent, (uint64_t)fs.f_bsize)
				      : fill_tmpfs(&fill, extent);
	}
	return ret;
}
