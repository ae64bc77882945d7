// SPDX-License-Identifier: GPL-2.0
#include "lazy/durable.h"

#include <errno.h>
#include <string.h>

static struct journal_slot *slot_of(struct lazyd *lazyd, const struct space *space)
{
	return space->slot < 0 ? NULL : &lazyd->journal->slots[space->slot];
}

/* A block for `count` items, which the version may have already. */
static int make_room(struct heap *heap, uint64_t *block, uint32_t *room, size_t count, size_t item)
{
	size_t wanted = count + count / 2 + 8;

	if (count <= *room)
		return 0;
	heap_free(heap, *block, *room * item);
	/* In this order: who finds it half way sees a block with its room, or none. */
	*room = 0;
	atomic_signal_fence(memory_order_seq_cst);
	*block = heap_alloc(heap, wanted * item);
	atomic_signal_fence(memory_order_seq_cst);
	if (!*block)
		return -ENOMEM;
	*room = (uint32_t)wanted;
	return 0;
}

static void write_areas(struct journal_area *to, struct owed *owed)
{
	struct owed_area *area;

	owed_for_each(area, owed)
	{
		*to++ = (struct journal_area){
			.start = area->start,
			.end = area->end,
			.image = area->image,
			.page_size = area->page_size,
			.kind = area->kind,
			.flags = area->flags,
			.bits = area->bits ? area->bits->at : 0,
		};
	}
}

static int write_version(struct lazyd *lazyd, struct space *space, uint64_t epoch)
{
	struct journal_slot *slot = slot_of(lazyd, space);
	struct journal_version *version = journal_spare(lazyd->journal, slot);
	struct heap *heap = &lazyd->heap;
	int ret;

	atomic_store(&version->epoch, 0);
	ret = make_room(heap, &version->areas, &version->areas_room, space->owed.nr_areas,
			sizeof(struct journal_area));
	if (!ret)
		ret = make_room(heap, &version->recent, &version->recent_room, space->nr_recent,
				sizeof(struct recent_change));
	if (ret)
		return ret;
	write_areas(heap_at(heap, version->areas), &space->owed);
	version->nr_areas = (uint32_t)space->owed.nr_areas;
	if (space->nr_recent)
		memcpy(heap_at(heap, version->recent), space->recent,
		       space->nr_recent * sizeof(struct recent_change));
	atomic_store(&version->nr_recent, (uint32_t)space->nr_recent);
	atomic_store(&version->epoch, epoch);
	return 0;
}

static bool is_due(const struct space *space)
{
	return space->owed.is_dirty && space->slot >= 0 && !space->is_arming;
}

static void take_back(struct lazyd *lazyd)
{
	struct space *space;

	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		struct journal_slot *slot = slot_of(lazyd, space);

		if (is_due(space))
			atomic_store(&journal_spare(lazyd->journal, slot)->epoch, 0);
	}
}

int durable_commit(struct lazyd *lazyd)
{
	struct journal *journal = lazyd->journal;
	uint64_t epoch = atomic_load(&journal->epoch) + 1;
	struct space *space;

	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		if (is_due(space) && write_version(lazyd, space, epoch)) {
			take_back(lazyd);
			return -ENOMEM;
		}
	}
	journal->commits[epoch % 2] = (struct journal_commit){
		.batch = atomic_load(&journal->inbox.batch),
		.nr_done = lazyd->nr_applied,
		.nr_tasks = lazyd->nr_tasks,
		.nr_hellos = lazyd->nr_hellos,
		.nr_lost = lazyd->nr_lost,
		.error = lazyd->error,
		.cookie = lazyd->cookie,
		.cookie_status = lazyd->cookie_status,
	};
	atomic_store(&journal->epoch, epoch);
	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		if (is_due(space))
			space->owed.is_dirty = false;
	}
	heap_flush(&lazyd->heap);
	return 0;
}

void durable_enter(struct lazyd *lazyd, struct space *space)
{
	struct journal_slot *parent = space->parent ? slot_of(lazyd, space->parent) : NULL;
	struct journal_slot *slot;

	space->slot = journal_add(lazyd->journal, space->uffd, space->host_pid, space->pidfd);
	slot = slot_of(lazyd, space);
	if (!slot)
		return;
	slot->image_pid = space->image_pid;
	slot->is_forked = space->is_forked;
	slot->born = space->born;
	atomic_store(&slot->is_young, space->is_young);
	if (!parent)
		return;
	atomic_store(&slot->parent, space->parent->slot);
	atomic_store(&parent->has_young, space->parent->has_young);
}

void durable_leave(struct lazyd *lazyd, struct space *space)
{
	struct journal_slot *slot = slot_of(lazyd, space);

	if (!slot)
		return;
	journal_drop(lazyd->journal, space->slot);
	space->slot = -1;
	for (int i = 0; i < 2; i++) {
		const struct journal_version *version = &slot->versions[i];

		heap_free(&lazyd->heap, version->areas,
			  version->areas_room * sizeof(struct journal_area));
		heap_free(&lazyd->heap, version->recent,
			  version->recent_room * sizeof(struct recent_change));
	}
}

void durable_calm(struct lazyd *lazyd, struct space *space)
{
	struct journal_slot *slot = slot_of(lazyd, space);
	struct journal_version *version = slot ? journal_valid(lazyd->journal, slot) : NULL;

	if (version)
		atomic_store(&version->nr_recent, 0);
}

void durable_grown_up(struct lazyd *lazyd, struct space *space)
{
	struct journal_slot *slot = slot_of(lazyd, space);

	if (slot)
		atomic_store(&slot->is_young, false);
}

void durable_orphan(struct lazyd *lazyd, struct space *space)
{
	struct journal_slot *slot = slot_of(lazyd, space);

	if (slot)
		atomic_store(&slot->parent, -1);
}

void durable_doom(struct lazyd *lazyd, struct space *space)
{
	struct journal_slot *slot = slot_of(lazyd, space);

	if (slot)
		atomic_store(&slot->is_doomed, true);
}

void durable_mirror(struct lazyd *lazyd)
{
	struct journal_mirror *mirror = &lazyd->journal->mirror;

	mirror->is_restored = lazyd->is_restored;
	mirror->any_complete = lazyd->any_complete;
	mirror->is_leaving = lazyd->is_leaving;
	mirror->error = lazyd->error;
	mirror->stats = lazyd->stats;
}
