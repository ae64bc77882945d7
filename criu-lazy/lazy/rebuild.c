// SPDX-License-Identifier: GPL-2.0
#include "lazy/rebuild.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lazy/engine.h"
#include "util/clock.h"

struct blocks {
	const struct rebuild_calls *calls;
	struct heap_block *items;
	size_t count, room;
};

static int use_block(struct blocks *blocks, uint64_t at, uint64_t size)
{
	if (!size)
		return 0;
	if (blocks->count == blocks->room) {
		size_t room = blocks->room ? 2 * blocks->room : 256;
		void *grown = reallocarray(blocks->items, room, sizeof(*blocks->items));

		if (!grown)
			return -ENOMEM;
		blocks->items = grown;
		blocks->room = room;
	}
	blocks->items[blocks->count++] = (struct heap_block){ at, size };
	return 0;
}

/* One owed_bits for each stretch, however many areas share it; *out has a reference more. */
static int find_bits(struct lazyd *lazyd, uint64_t at, struct blocks *blocks,
		     struct owed_bits **out)
{
	struct owed_stretch *stretch = heap_at(&lazyd->heap, at);
	struct lazy_source *source;
	int ret;

	if (stretch->generation == lazyd->journal->generation) {
		*out = owed_bits_get(stretch->owner);
		return 0;
	}
	ret = blocks->calls->source(lazyd, stretch->object, &source);
	if (ret)
		return ret;
	*out = owed_bits_adopt(&lazyd->heap, at, source);
	if (!*out)
		return -ENOMEM;
	stretch->owner = *out;
	stretch->generation = lazyd->journal->generation;
	return use_block(blocks, at, owed_stretch_size(stretch));
}

static int build_areas(struct lazyd *lazyd, struct space *space,
		       const struct journal_version *version, struct blocks *blocks)
{
	const struct journal_area *areas = heap_at(&lazyd->heap, version->areas);
	int ret = 0;

	for (uint32_t i = 0; !ret && i < version->nr_areas; i++) {
		struct owed_area area = {
			.start = areas[i].start,
			.end = areas[i].end,
			.image = areas[i].image,
			.page_size = areas[i].page_size,
			.kind = areas[i].kind,
			.flags = areas[i].flags,
		};

		if (areas[i].bits)
			ret = find_bits(lazyd, areas[i].bits, blocks, &area.bits);
		if (!ret)
			ret = owed_restore(&space->owed, &area);
		owed_bits_put(area.bits);
	}
	return ret;
}

static int build_recent(struct lazyd *lazyd, struct space *space,
			const struct journal_version *version)
{
	uint32_t count = atomic_load(&version->nr_recent);

	if (!count)
		return 0;
	space->recent = calloc(count, sizeof(*space->recent));
	if (!space->recent)
		return -ENOMEM;
	memcpy(space->recent, heap_at(&lazyd->heap, version->recent),
	       count * sizeof(*space->recent));
	space->nr_recent = count;
	return 0;
}

static int build_space(struct lazyd *lazyd, int number, const struct journal_version *version,
		       struct blocks *blocks)
{
	struct journal_slot *slot = &lazyd->journal->slots[number];
	struct space *space = space_new(lazyd, slot->uffd);
	int ret;

	if (!space)
		return -ENOMEM;
	space->slot = number;
	space->image_pid = slot->image_pid;
	space->is_forked = slot->is_forked;
	space->is_young = atomic_load(&slot->is_young);
	space->has_young = atomic_load(&slot->has_young);
	space->born = slot->born;
	ret = build_areas(lazyd, space, version, blocks);
	if (!ret)
		ret = build_recent(lazyd, space, version);
	space->owed.is_dirty = false; /* as committed */
	return ret;
}

static int keep_blocks(const struct journal_slot *slot, struct blocks *blocks)
{
	int ret = 0;

	for (int i = 0; i < 2 && !ret; i++) {
		const struct journal_version *version = &slot->versions[i];

		ret = use_block(blocks, version->areas,
				version->areas_room * sizeof(struct journal_area));
		if (!ret)
			ret = use_block(blocks, version->recent,
					version->recent_room * sizeof(struct recent_change));
	}
	return ret;
}

/* Killed after it had closed the descriptor, or before it had armed anything of a hello's. */
static bool is_void(struct lazyd *lazyd, struct journal_slot *slot,
		    const struct rebuild_calls *calls)
{
	return !calls->is_uffd(slot->uffd) || !journal_valid(lazyd->journal, slot);
}

static int build_spaces(struct lazyd *lazyd, struct blocks *blocks)
{
	struct journal *journal = lazyd->journal;
	uint64_t epoch = atomic_load(&journal->epoch);
	uint32_t nr_used = atomic_load(&journal->nr_used);
	int ret = 0;

	for (uint32_t i = 0; !ret && i < nr_used; i++) {
		struct journal_slot *slot = &journal->slots[i];

		for (int version = 0; version < 2; version++) {
			if (atomic_load(&slot->versions[version].epoch) > epoch)
				atomic_store(&slot->versions[version].epoch, 0);
		}
		if (atomic_load(&slot->state) == JOURNAL_FREE)
			continue;
		if (is_void(lazyd, slot, blocks->calls)) {
			/* A forked one comes again by its message, or is nobody's. */
			if (!slot->is_forked)
				blocks->calls->half_armed(slot->uffd);
			journal_drop(journal, (int)i);
			continue;
		}
		ret = build_space(lazyd, (int)i, journal_valid(journal, slot), blocks);
		if (!ret)
			ret = keep_blocks(slot, blocks);
	}
	return ret;
}

struct space *rebuild_find(struct lazyd *lazyd, int slot)
{
	struct space *space;

	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		if (slot >= 0 && space->slot == slot)
			return space;
	}
	return NULL;
}

static void find_parents(struct lazyd *lazyd)
{
	struct space *space;

	TAILQ_FOREACH (space, &lazyd->spaces, link)
		space->parent = rebuild_find(
			lazyd, atomic_load(&lazyd->journal->slots[space->slot].parent));
}

static int build_segments(struct lazyd *lazyd, struct blocks *blocks)
{
	struct journal *journal = lazyd->journal;
	uint32_t count = atomic_load(&journal->nr_segments);
	int ret = 0;

	for (uint32_t i = 0; !ret && i < count; i++) {
		struct segment *segment = calloc(1, sizeof(*segment));

		if (!segment)
			return -ENOMEM;
		segment->shmid = journal->segments[i].shmid;
		SLIST_INSERT_HEAD(&lazyd->segments, segment, link);
		ret = find_bits(lazyd, journal->segments[i].bits, blocks, &segment->bits);
		if (!ret)
			segment->bits->nr_owed = owed_bits_count(segment->bits, 0, UINT64_MAX / 2);
	}
	return ret;
}

static void take_counters(struct lazyd *lazyd)
{
	const struct journal_mirror *mirror = &lazyd->journal->mirror;
	const struct journal_commit *last = journal_last(lazyd->journal);

	lazyd->nr_tasks = last->nr_tasks;
	lazyd->nr_hellos = last->nr_hellos;
	lazyd->nr_lost = last->nr_lost;
	lazyd->error = last->error ? last->error : mirror->error;
	lazyd->cookie = last->cookie;
	lazyd->cookie_status = last->cookie_status;
	lazyd->is_restored = mirror->is_restored;
	lazyd->any_complete = mirror->any_complete;
	lazyd->is_leaving = mirror->is_leaving;
	lazyd->stats = mirror->stats;
	lazyd->stats.tasks = NULL; /* was the dead one's memory */
	lazyd->stats.nr_tasks = 0;
	if (TAILQ_EMPTY(&lazyd->spaces) && lazyd->stats.start && !lazyd->stats.complete)
		lazyd->stats.complete = clock_ns();
}

int rebuild(struct lazyd *lazyd, const struct rebuild_calls *calls)
{
	struct blocks blocks = { .calls = calls };
	int ret = build_segments(lazyd, &blocks);

	if (!ret)
		ret = build_spaces(lazyd, &blocks);
	if (!ret)
		heap_rebuild(&lazyd->heap, blocks.items, blocks.count);
	free(blocks.items);
	if (ret)
		return ret;
	find_parents(lazyd);
	take_counters(lazyd);
	return 0;
}
