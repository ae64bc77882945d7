// SPDX-License-Identifier: GPL-2.0
/*
 * Long runs of pages of private anonymous areas: what the blob and the restorer fill together
 * (blob/restorer/fill.c, fill_help.c). All of them at once, because a registered area must not be
 * read into.
 */
#include <stddef.h>
#include <sys/mman.h>

#include "mem/pagemap_flags.h"
#include "restore/compose.h"

enum { FILL_BYTES = 64 << 10 }; /* shorter runs are read */

struct pieces {
	struct restorer_piece *items;
	size_t count, room;
};

bool fill_takes(const VmaEntry *vma, uint64_t len)
{
	return vma->status & VMA_ANON_PRIVATE && !(vma->flags & MAP_HUGETLB) && len >= FILL_BYTES;
}

/* A run that is split between two areas makes one more, for which there is room by area. */
static size_t most_pieces(const struct page_source *source)
{
	const struct page_extent *extents = page_source_extents(source);
	size_t count = 0;

	for (size_t i = 0; i < page_source_extent_count(source); i++) {
		if (extents[i].len >= FILL_BYTES)
			count += extents[i].len / RESTORER_PIECE_BYTES + 1;
	}
	return count;
}

size_t fill_bytes(struct compose *compose)
{
	const struct restore_task *rt = compose->task->restore;

	if (rt->pages)
		compose->most_pieces = most_pieces(rt->pages) + rt->mm->n_vmas;
	return compose->most_pieces * sizeof(struct restorer_piece);
}

static void add_pieces(void *context, const struct page_run *run)
{
	struct pieces *pieces = context;
	uint64_t done = 0;

	while (done < run->len && pieces->count < pieces->room) {
		uint64_t left = run->len - done;
		uint64_t len = left < RESTORER_PIECE_BYTES ? left : RESTORER_PIECE_BYTES;

		pieces->items[pieces->count++] = (struct restorer_piece){
			.vaddr = run->vaddr + done,
			.len = len,
			.offset = run->offset + done,
			.fd = run->fd,
			.source_fd = run->source_fd,
		};
		done += len;
	}
}

void compose_fill(struct compose *compose)
{
	const struct restore_task *rt = compose->task->restore;
	size_t nr_areas = rt->mm->n_vmas;
	struct pieces pieces = { .room = compose->most_pieces };
	struct restorer_fill_list *list = region_alloc(&compose->region, sizeof(*list));
	struct restorer_area *areas = region_alloc(&compose->region, nr_areas * sizeof(*areas));

	if (!pieces.room)
		return;
	pieces.items = region_alloc(&compose->region, pieces.room * sizeof(*pieces.items));
	if (!list || !areas || !pieces.items)
		return; /* the region remembers */
	list->areas = (uintptr_t)areas;
	list->pieces = (uintptr_t)pieces.items;
	for (size_t i = 0; i < nr_areas; i++) {
		size_t before = pieces.count;

		compose_each_run(compose, i, true, add_pieces, &pieces);
		if (pieces.count > before)
			areas[list->nr_areas++] = (struct restorer_area){ rt->mm->vmas[i]->start,
									  rt->mm->vmas[i]->end };
	}
	list->nr_pieces = pieces.count;
	if (list->nr_pieces)
		calls_must(&compose->calls, RESTORER_WHAT_READ, RESTORER_OP_FILL, list,
			   compose->shared +
				   offsetof(struct restore_shared, tasks[rt->index].fill));
}
