// SPDX-License-Identifier: GPL-2.0
/*
 * In order: versions that were not committed are no more; spaces are built from those that were;
 * the heap learns what is in use; messages that were read and not applied are applied. Only then
 * may anything be copied: a page that a message drops is owed until it is applied.
 *
 * Faults that the dead daemon had read are not sent again (UFFD.md 2), so all waiting threads are
 * woken at the end. Copies of its threads cannot be under way any more: its pidfd told of its death
 * when the last of its threads had ended.
 */
#include "lazy/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lazy/adopt.h"
#include "lazy/arm.h"
#include "lazy/durable.h"
#include "lazy/engine.h"
#include "lazy/uffd.h"
#include "transport/wire.h"
#include "util/log.h"

#define LOWEST_ADDRESS (1ull << 16)

struct blocks {
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
	ret = arm_source(lazyd, stretch->object, &source);
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
static bool is_void(struct lazyd *lazyd, struct journal_slot *slot)
{
	return !adopt_is_uffd(slot->uffd) || !journal_valid(lazyd->journal, slot);
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
		if (is_void(lazyd, slot)) {
			/* A forked one comes again by its message, or is nobody's. */
			if (!slot->is_forked)
				adopt_half_armed(slot->uffd);
			journal_drop(journal, (int)i);
			continue;
		}
		ret = build_space(lazyd, (int)i, journal_valid(journal, slot), blocks);
		if (!ret)
			ret = keep_blocks(slot, blocks);
	}
	return ret;
}

static struct space *space_at(struct lazyd *lazyd, int slot)
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
		space->parent =
			space_at(lazyd, atomic_load(&lazyd->journal->slots[space->slot].parent));
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
	lazyd->error = last->error;
	lazyd->cookie = last->cookie;
	lazyd->cookie_status = last->cookie_status;
	lazyd->is_restored = mirror->is_restored;
	lazyd->any_complete = mirror->any_complete;
	lazyd->is_leaving = mirror->is_leaving;
	lazyd->stats = mirror->stats;
	lazyd->stats.tasks = NULL; /* was the dead one's memory */
	lazyd->stats.nr_tasks = 0;
}

/* Read by the dead daemon, and not in what it committed. */
static void apply_rest(struct lazyd *lazyd)
{
	struct journal_inbox *inbox = &lazyd->journal->inbox;
	struct space *space = space_at(lazyd, inbox->slot);

	lazyd->nr_applied = journal_applied(lazyd->journal);
	for (uint32_t i = lazyd->nr_applied; i < JOURNAL_MSGS && inbox->msgs[i].event; i++) {
		if (inbox->msgs[i].event != UFFD_EVENT_PAGEFAULT)
			log_debug("message 0x%x of slot %d is applied again", inbox->msgs[i].event,
				  inbox->slot);
		if (space && inbox->msgs[i].event != UFFD_EVENT_PAGEFAULT)
			space_apply(lazyd, space, i);
	}
	memset(inbox->msgs, 0, sizeof(inbox->msgs));
}

/* The task's own size is not known here: the kernel refuses what is beyond. */
static void wake_all(const struct space *space)
{
	static const uint64_t ends[] = { (1ull << 56) - 4096, (1ull << 47) - 4096, 0xffffe000 };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (!uffd_wake(space->uffd, LOWEST_ADDRESS, ends[i]))
			return;
	}
	log_warn("task %d: waiting threads cannot be woken", space->image_pid);
}

static int take_up(struct lazyd *lazyd, struct space *space)
{
	struct journal_slot *slot = &lazyd->journal->slots[space->slot];
	struct pollfd over = { .fd = atomic_load(&slot->pidfd), .events = POLLIN };

	fcntl(space->uffd, F_SETFL, O_NONBLOCK);
	if (over.fd >= 0)
		space_follow(lazyd, space, atomic_load(&slot->pid), over.fd);
	if (atomic_load(&slot->is_doomed))
		space_kill(lazyd, space, "the daemon died while it ended this task", 0);
	return engine_watch(lazyd, space->uffd, &space->watch, WATCH_SPACE, space);
}

int recover(struct lazyd *lazyd)
{
	struct blocks blocks = { 0 };
	struct space *space;
	int count = 0;
	int ret = build_segments(lazyd, &blocks);

	if (!ret)
		ret = build_spaces(lazyd, &blocks);
	if (!ret)
		heap_rebuild(&lazyd->heap, blocks.items, blocks.count);
	free(blocks.items);
	if (ret)
		return log_ret(ret, "what the dead daemon owed cannot be taken over");
	find_parents(lazyd);
	take_counters(lazyd);
	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		if (!ret)
			ret = take_up(lazyd, space);
		count++;
	}
	if (ret)
		return ret;
	apply_rest(lazyd);
	TAILQ_FOREACH (space, &lazyd->spaces, link)
		wake_all(space);
	adopt_finish(lazyd);
	log_warn("this daemon has taken over from one that died: %d address spaces, %" PRIu64 " us",
		 count, (lazy_now() - lazyd->journal->lost_at) / 1000);
	return 0;
}
