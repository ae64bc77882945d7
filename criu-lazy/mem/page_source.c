// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of a local image. A set of images can be a layer over a parent set: an entry with PE_PARENT
 * says "as the parent has it". The chain is resolved once, at opening:
 *
 *   top      [present][parent............][present]
 *   parent        [present][parent][present]
 *   result   [top    ][parent][grandp.][p.][top    ]
 *
 * so that lookups are a binary search in one array and readers share nothing that changes.
 */
#include "mem/page_source.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "mem/pagemap_entry.h"
#include "mem/pagemap_flags.h"
#include "pagemap.pb-c.h"
#include "util/bisect.h"
#include "util/log.h"
#include "util/scope.h"

enum { PAGE = 4096 };

struct page_source {
	struct page_extent *extents;
	size_t count, capacity;
	struct image **files; /* the pages-N.img of each layer */
	size_t nr_files;
};

/* One pagemap file while it is read. */
struct layer {
	struct image_dir *dir;
	enum page_object object;
	uint64_t id;
	struct image *pagemap;
	uint64_t pages_id;
	struct image *pages; /* owned by the source; NULL before its first use */
	int pages_fd;
	uint64_t offset;	    /* of the next present page in pages */
	struct page_source *parent; /* opened by the first PE_PARENT */
	uint64_t end;		    /* of the entry before */
};

static void layer_fini(struct layer *layer)
{
	image_close(&layer->pagemap);
	page_source_close(layer->parent);
}

#define scoped_layer __attribute__((cleanup(layer_fini)))

static int add_extent(struct page_source *source, const struct page_extent *extent)
{
	if (source->count == source->capacity) {
		size_t capacity = source->capacity ? source->capacity * 2 : 64;
		struct page_extent *grown =
			realloc(source->extents, capacity * sizeof(*source->extents));

		if (!grown)
			return log_ret(-ENOMEM, "pagemap: %zu extents", capacity);
		source->extents = grown;
		source->capacity = capacity;
	}
	source->extents[source->count++] = *extent;
	return 0;
}

static int add_file(struct page_source *source, struct image *file)
{
	struct image **grown =
		realloc(source->files, (source->nr_files + 1) * sizeof(*source->files));

	if (!grown)
		return log_ret(-ENOMEM, "pagemap: %zu files", source->nr_files + 1);
	source->files = grown;
	source->files[source->nr_files++] = file;
	return 0;
}

static int open_pages(struct page_source *source, struct layer *layer)
{
	scoped_image struct image *pages = NULL;
	int ret = image_open(layer->dir, IMG_PAGES, layer->pages_id, &pages);

	if (ret == -ENOENT)
		return image_bad(layer->pagemap, "pages-%" PRIu64 ".img does not exist",
				 layer->pages_id);
	if (!ret)
		ret = add_file(source, pages);
	if (ret)
		return ret;
	layer->pages = take_ptr(pages);
	layer->pages_fd = image_fd(layer->pages);
	return layer->pages_fd < 0 ? layer->pages_fd : 0;
}

static int add_present(struct page_source *source, struct layer *layer, struct page_extent *extent)
{
	if (!layer->pages) {
		int ret = open_pages(source, layer);

		if (ret)
			return ret;
	}
	if (extent->len > image_size(layer->pages) - layer->offset)
		return image_bad(layer->pagemap,
				 "pages of 0x%" PRIx64 " go beyond the end of %s (%" PRIu64
				 " bytes)",
				 extent->vaddr, image_name(layer->pages), image_size(layer->pages));
	extent->origin = PAGE_LOCAL;
	extent->fd = layer->pages_fd;
	extent->offset = layer->offset;
	layer->offset += extent->len;
	return add_extent(source, extent);
}

static int open_parent(struct layer *layer)
{
	struct image_dir *dir;
	int ret = image_dir_parent(layer->dir, &dir);

	if (ret)
		return ret;
	if (!dir)
		return image_bad(layer->pagemap, "pages are in a parent set, but there is none");
	ret = page_source_open(dir, layer->object, layer->id, &layer->parent);
	if (ret == -ENOENT)
		return image_bad(layer->pagemap, "pages are in the parent set, which has no %s",
				 image_name(layer->pagemap));
	return ret;
}

/* The parent's extents, cut to what the entry covers; a hole in them is damage. */
static int add_from_parent(struct page_source *source, struct layer *layer,
			   const struct page_extent *wanted)
{
	uint64_t at = wanted->vaddr, end = wanted->vaddr + wanted->len;
	int ret = layer->parent ? 0 : open_parent(layer);

	while (!ret && at < end) {
		const struct page_extent *found = page_source_find(layer->parent, at);

		if (!found || found->vaddr > at)
			return image_bad(layer->pagemap, "the parent set has no page 0x%" PRIx64,
					 at);
		struct page_extent part = *found;
		uint64_t skipped = at - found->vaddr;

		part.vaddr = at;
		part.len -= skipped;
		part.offset += skipped;
		part.is_lazy = wanted->is_lazy || found->is_lazy;
		if (part.len > end - at)
			part.len = end - at;
		at += part.len;
		ret = add_extent(source, &part);
	}
	return ret;
}

static int check_entry(struct layer *layer, const struct pagemap_range *range)
{
	if (range->vaddr % PAGE)
		return image_bad(layer->pagemap, "address 0x%" PRIx64 " is not page aligned",
				 range->vaddr);
	if (!range->nr_pages || range->nr_pages > (UINT64_MAX - range->vaddr) / PAGE)
		return image_bad(layer->pagemap, "%" PRIu64 " pages at 0x%" PRIx64 " cannot be",
				 range->nr_pages, range->vaddr);
	if (range->vaddr < layer->end)
		return image_bad(layer->pagemap,
				 "address 0x%" PRIx64 " is below the end of the entry before",
				 range->vaddr);
	return 0;
}

static int add_entry(struct page_source *source, struct layer *layer,
		     const struct pagemap_range *range)
{
	int ret = check_entry(layer, range);

	if (ret)
		return ret;
	struct page_extent extent = {
		.vaddr = range->vaddr,
		.len = range->nr_pages * PAGE,
		.is_lazy = range->flags & PE_LAZY,
		.origin = PAGE_REMOTE,
		.fd = -1,
	};

	layer->end = extent.vaddr + extent.len;
	switch (range->flags & (PE_PARENT | PE_LAZY | PE_PRESENT)) {
	case PE_PRESENT:
	case PE_PRESENT | PE_LAZY:
		return add_present(source, layer, &extent);
	case PE_PARENT:
	case PE_PARENT | PE_LAZY:
		return add_from_parent(source, layer, &extent);
	case PE_LAZY:
		return add_extent(source, &extent);
	default:
		return image_bad(layer->pagemap, "flags 0x%x of 0x%" PRIx64 " cannot be",
				 range->flags, range->vaddr);
	}
}

static int read_head(struct layer *layer)
{
	ProtobufCMessage *msg;
	int ret = image_read(layer->pagemap, &pagemap_head__descriptor, &msg);

	if (ret < 0)
		return ret;
	if (!ret)
		return image_bad(layer->pagemap, "there is no head");
	layer->pages_id = ((PagemapHead *)msg)->pages_id;
	image_msg_free(msg);
	return 0;
}

static int read_entries(struct page_source *source, struct layer *layer)
{
	const uint8_t *data;
	size_t len;
	int ret;

	while ((ret = image_read_packed(layer->pagemap, &data, &len)) > 0) {
		struct pagemap_range range;

		if (!pagemap_entry_decode(data, len, &range))
			return image_bad(layer->pagemap, "the entry before does not decode");
		ret = add_entry(source, layer, &range);
		if (ret)
			return ret;
	}
	return ret;
}

/* The result may point into the parents' files, so it takes them over. */
static int adopt_files(struct page_source *source, struct page_source *parent)
{
	int ret = 0;

	while (parent && parent->nr_files && !ret) {
		ret = add_file(source, parent->files[parent->nr_files - 1]);
		if (!ret)
			parent->nr_files--;
	}
	return ret;
}

int page_source_open(struct image_dir *dir, enum page_object object, uint64_t id,
		     struct page_source **out)
{
	scoped_layer struct layer layer = { .dir = dir, .object = object, .id = id };
	enum image_kind kind = object == PAGE_OBJECT_TASK ? IMG_PAGEMAP : IMG_SHMEM_PAGEMAP;
	int ret = image_open(dir, kind, id, &layer.pagemap);

	if (ret)
		return ret;
	struct page_source *source = calloc(1, sizeof(*source));

	if (!source)
		return log_ret(-ENOMEM, "image %s", image_name(layer.pagemap));
	ret = read_head(&layer);
	if (!ret)
		ret = read_entries(source, &layer);
	if (!ret)
		ret = adopt_files(source, layer.parent);
	if (ret) {
		page_source_close(source);
		return ret;
	}
	*out = source;
	return 0;
}

void page_source_close(struct page_source *source)
{
	if (!source)
		return;
	for (size_t i = 0; i < source->nr_files; i++)
		image_close(&source->files[i]);
	free(source->files);
	free(source->extents);
	free(source);
}

size_t page_source_extent_count(const struct page_source *source)
{
	return source->count;
}

const struct page_extent *page_source_extents(const struct page_source *source)
{
	return source->extents;
}

const struct page_extent *page_source_find(const struct page_source *source, uint64_t vaddr)
{
	const struct page_extent *extents = source->extents;
	size_t at = bisect(source->count, i, extents[i].vaddr + extents[i].len > vaddr);

	return at < source->count ? &extents[at] : NULL;
}

static int read_all(int fd, uint8_t *buf, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t got = pread(fd, buf, len, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return log_errno("pages: read at %" PRIu64, offset);
		if (!got)
			return log_ret(-EIO, "pages: the file has become shorter than %" PRIu64,
				       offset);
		buf += got;
		offset += (uint64_t)got;
		len -= (size_t)got;
	}
	return 0;
}

int page_source_read(const struct page_source *source, uint64_t vaddr, void *buf, size_t len)
{
	const struct page_extent *extent = page_source_find(source, vaddr);
	uint8_t *to = buf;

	for (; len; extent++) {
		if (!extent || extent == source->extents + source->count || extent->vaddr > vaddr ||
		    extent->origin != PAGE_LOCAL)
			return -ENODATA;
		uint64_t skipped = vaddr - extent->vaddr;
		size_t part = extent->len - skipped < len ? (size_t)(extent->len - skipped) : len;
		int ret = read_all(extent->fd, to, part, extent->offset + skipped);

		if (ret)
			return ret;
		to += part;
		vaddr += part;
		len -= part;
	}
	return 0;
}
