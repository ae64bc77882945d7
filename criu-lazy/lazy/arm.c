// SPDX-License-Identifier: GPL-2.0
#include "lazy/arm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lazy/engine.h"
#include "lazy/remote.h"
#include "lazy/uffd.h"
#include "transport/wire.h"
#include "util/log.h"

#define GAP_MIN (64ull << 20)

static int open_source(struct lazyd *lazyd, enum page_object object, uint64_t id,
		       struct lazy_source **out)
{
	struct source_ref *ref;
	int ret;

	SLIST_FOREACH (ref, &lazyd->sources, link) {
		if (lazy_source_is(ref->source, object, id)) {
			*out = ref->source;
			return 0;
		}
	}
	ref = calloc(1, sizeof(*ref));
	if (!ref)
		return -ENOMEM;
	ret = lazy_source_open(lazyd->images, object, id, &ref->source);
	if (!ret) {
		ret = remote_add(lazyd, ref->source);
		if (ret)
			lazy_source_close(ref->source);
	}
	if (ret) {
		free(ref);
		return ret;
	}
	SLIST_INSERT_HEAD(&lazyd->sources, ref, link);
	*out = ref->source;
	return 0;
}

int arm_source(struct lazyd *lazyd, uint64_t object, struct lazy_source **out)
{
	return open_source(lazyd,
			   wire_object_type(object) == WIRE_SHMEM ? PAGE_OBJECT_SHMEM
								  : PAGE_OBJECT_TASK,
			   wire_object_id(object), out);
}

struct lazy_source *arm_find_source(struct lazyd *lazyd, uint64_t object)
{
	struct source_ref *ref;

	SLIST_FOREACH (ref, &lazyd->sources, link) {
		if (lazy_source_object(ref->source) == object)
			return ref->source;
	}
	return NULL;
}

/* The next daemon will know the segment too. */
static int note_segment(struct lazyd *lazyd, const struct segment *segment)
{
	struct journal *journal = lazyd->journal;
	uint32_t count = atomic_load(&journal->nr_segments);

	if (count == JOURNAL_SEGMENTS)
		return log_ret(-ENOSPC, "more than %d shared segments", JOURNAL_SEGMENTS);
	journal->segments[count] = (struct journal_segment){ segment->shmid, segment->bits->at };
	atomic_store(&journal->nr_segments, count + 1);
	return 0;
}

static int fill_segment(struct lazyd *lazyd, struct segment *segment, struct lazy_source *source)
{
	segment->bits = owed_bits_new(&(struct owed_shape){
		.heap = &lazyd->heap,
		.len = lazy_source_end(source),
		.page_size = LAZY_PAGE,
		.object = lazy_source_object(source),
		.source = source,
	});
	if (!segment->bits)
		return -ENOMEM;
	lazyd->stats.announced +=
		lazy_source_owe(source, 0, lazy_source_end(source), segment->bits);
	return note_segment(lazyd, segment);
}

static int open_segment(struct lazyd *lazyd, uint64_t shmid, struct segment **out)
{
	struct lazy_source *source;
	struct segment *segment;
	int ret;

	SLIST_FOREACH (segment, &lazyd->segments, link) {
		if (segment->shmid == shmid) {
			*out = segment;
			return 0;
		}
	}
	ret = open_source(lazyd, PAGE_OBJECT_SHMEM, shmid, &source);
	if (ret)
		return ret;
	segment = calloc(1, sizeof(*segment));
	if (!segment)
		return -ENOMEM;
	segment->shmid = shmid;
	ret = fill_segment(lazyd, segment, source);
	if (ret) {
		owed_bits_put(segment->bits);
		free(segment);
		return ret;
	}
	SLIST_INSERT_HEAD(&lazyd->segments, segment, link);
	*out = segment;
	return 0;
}

static int arm_range(struct space *space, const struct lazy_range *range)
{
	int ret = uffd_register(space->uffd, range->start, range->end);

	if (ret)
		return log_ret(ret, "task %d: register 0x%" PRIx64 "-0x%" PRIx64, space->image_pid,
			       range->start, range->end);
	return 0;
}

static int arm_shmem(struct lazyd *lazyd, struct space *space, const struct lazy_range *range)
{
	struct owed_area area = { .start = range->start,
				  .end = range->end,
				  .image = range->pgoff,
				  .page_size = LAZY_PAGE,
				  .kind = range->kind,
				  .flags = range->flags };
	struct segment *segment;
	int ret = open_segment(lazyd, range->shmid, &segment);

	if (ret)
		return ret;
	area.bits = segment->bits;
	if (!segment->bits->nr_owed)
		return 0;
	ret = owed_add(&space->owed, &area);
	return ret ? ret : arm_range(space, range);
}

/* One stretch of a range from its first to its last page in the image. */
static int arm_span(struct lazyd *lazyd, struct space *space, const struct lazy_range *range,
		    struct lazy_source *source, uint64_t start, uint64_t end)
{
	struct owed_area area = { .start = start,
				  .end = end,
				  .image = start,
				  .page_size = range->page_size,
				  .kind = range->kind,
				  .flags = range->flags };
	int ret;

	area.bits = owed_bits_new(&(struct owed_shape){
		.heap = &lazyd->heap,
		.base = start,
		.len = end - start,
		.page_size = range->page_size,
		.object = lazy_source_object(source),
		.source = source,
	});
	if (!area.bits)
		return -ENOMEM;
	lazyd->stats.announced += lazy_source_owe(source, start, end - start, area.bits) *
				  (range->page_size / LAZY_PAGE);
	ret = owed_add(&space->owed, &area);
	owed_bits_put(area.bits);
	return ret;
}

/* The whole of a range that owes something is registered; what is between stretches owes nothing.
 */
static int arm_gap(struct space *space, const struct lazy_range *range, uint64_t start,
		   uint64_t end)
{
	const struct owed_area area = { .start = start,
					.end = end,
					.image = start,
					.page_size = range->page_size,
					.kind = range->kind,
					.flags = range->flags };

	return start < end ? owed_add(&space->owed, &area) : 0;
}

/*
 * Only a range that owes something is registered: elsewhere the kernel's own zeros are right, and
 * faster. It is registered as a whole, for the kernel keeps one area of memory only where that is
 * the same, and mremap(2) and realloc(3) fail across two. Large gaps (reserved heaps, shadow
 * memory) have no bits; there are at most 64, for each costs an area.
 */
static int arm_private(struct lazyd *lazyd, struct space *space, const struct lazy_range *range,
		       struct lazy_source *source)
{
	const struct page_source *pages = lazy_source_pages(source);
	const struct page_extent *extent = pages ? page_source_find(pages, range->start) : NULL;
	const struct page_extent *last;
	uint64_t gap = (range->end - range->start) / 64, mask = range->page_size - 1;
	uint64_t start = 0, end = 0, armed = range->start;
	int ret = 0;

	if (gap < GAP_MIN)
		gap = GAP_MIN;
	last = pages ? page_source_extents(pages) + page_source_extent_count(pages) : NULL;
	for (; !ret && extent && extent < last && extent->vaddr < range->end; extent++) {
		uint64_t from = extent->vaddr > range->start ? extent->vaddr : range->start;
		uint64_t to = extent->vaddr + extent->len;

		from &= ~mask;
		to = to < range->end ? (to + mask) & ~mask : range->end;
		if (end && from > end + gap) {
			ret = arm_span(lazyd, space, range, source, start, end);
			armed = end;
			end = 0;
		}
		if (!end) {
			ret = ret ? ret : arm_gap(space, range, armed, from);
			start = from;
		}
		if (to > end)
			end = to;
	}
	if (ret || !end)
		return ret;
	ret = arm_span(lazyd, space, range, source, start, end);
	if (!ret)
		ret = arm_gap(space, range, end, range->end);
	return ret ? ret : arm_range(space, range);
}

int arm_ranges(struct lazyd *lazyd, struct space *space, const struct lazy_range *ranges,
	       uint32_t count)
{
	struct lazy_source *source;
	int ret = open_source(lazyd, PAGE_OBJECT_TASK, (uint64_t)space->image_pid, &source);

	for (uint32_t i = 0; !ret && i < count; i++) {
		if (ranges[i].kind == LAZY_RANGE_SHMEM)
			ret = arm_shmem(lazyd, space, &ranges[i]);
		else
			ret = arm_private(lazyd, space, &ranges[i], source);
	}
	return ret;
}
