// SPDX-License-Identifier: GPL-2.0
/*
 * A fork in one thread against mremap(2) or munmap(2) in another.
 *
 * Each queues its event after the lock of the address space is free, so the order of the events
 * need not be that of the changes: the child may have been copied before a move whose event came
 * first, or after one whose event comes later. Both sides raise the kernel's flag of a pending
 * change before they begin and lower it after their event is read. So once a copy has succeeded
 * (race_calm), all events read so far are older than any fork to come, and no event to come is
 * older than the forks read; between two such moments the child is asked where it has the memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lazy/durable.h"
#include "lazy/engine.h"
#include "lazy/uffd.h"
#include "util/log.h"

#define SHORT_MAX_NS 2000000000ull

enum where { AT_NEITHER, AT_FROM, AT_TO, AT_BOTH, AT_UNKNOWN };

static bool has_areas(struct owed *owed, uint64_t start, uint64_t end)
{
	struct owed_area *area = owed_next(owed, start);

	return area && area->start < end;
}

static int note(struct space *space, const struct recent_change *change)
{
	void *grown = reallocarray(space->recent, space->nr_recent + 1, sizeof(*space->recent));

	if (!grown)
		return -ENOMEM;
	space->recent = grown;
	space->recent[space->nr_recent++] = *change;
	space->owed.is_dirty = true;
	return 0;
}

static bool was_unmapped(const struct space *space, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < space->nr_recent; i++) {
		const struct recent_change *change = &space->recent[i];

		if (change->is_unmap && change->from < end && start < change->from + change->len)
			return true;
	}
	return false;
}

int race_unmap(struct space *space, uint64_t start, uint64_t end)
{
	struct recent_change change = { .from = start, .len = end - start, .is_unmap = true };
	const struct owed_area *area = owed_next(&space->owed, start);
	bool is_source = false;

	if (area) {
		change.is_owing = owed_has_any(&space->owed, start, end);
		change.kind = area->kind;
		change.page_size = area->page_size;
	}
	for (size_t i = 0; i < space->nr_recent; i++) {
		struct recent_change *move = &space->recent[i];

		if (!move->is_unmap && !move->has_left && move->from < end &&
		    start < move->from + move->len)
			move->has_left = is_source = space->owed.is_dirty = true;
	}
	return !is_source && has_areas(&space->owed, start, end) ? note(space, &change) : 0;
}

static int registered(const struct space *child, uint64_t addr)
{
	int ret = uffd_covers(child->uffd, addr, addr + LAZY_PAGE);

	return ret == -ENOENT ? 0 : ret ? ret : 1;
}

static enum where ask_child(const struct space *child, uint64_t from, uint64_t to)
{
	int at_from = registered(child, from), at_to = registered(child, to);

	if (at_from < 0 || at_to < 0)
		return at_from == -ESRCH || at_to == -ESRCH ? AT_NEITHER : AT_UNKNOWN;
	return at_from ? (at_to ? AT_BOTH : AT_FROM) : at_to ? AT_TO : AT_NEITHER;
}

/* What the child has there cannot be known: touching it is an error, never a wrong byte. */
static int doubt(struct lazyd *lazyd, struct space *child, uint64_t start, uint64_t end)
{
	uint64_t done;

	if (!has_areas(&child->owed, start, end) && registered(child, start) == 0)
		return 0;
	log_warn("task %d: forked while another thread changed 0x%" PRIx64 "-0x%" PRIx64
		 ": the child cannot use it",
		 child->image_pid, start, end);
	if (!lazyd->has_poison) {
		space_kill(lazyd, child, "it was forked during a change of its memory", start);
		return 0;
	}
	for (uint64_t at = start; at < end; at += done ? done : LAZY_PAGE) {
		int ret = uffd_poison(child->uffd, at, end - at, &done);

		if (ret == -EAGAIN && !done) {
			space_kill(lazyd, child, "it was forked during a change of its memory", at);
			return 0;
		}
	}
	return owed_unmap(&child->owed, start, end);
}

static bool owes_any(struct space *space, uint64_t from, uint64_t to, uint64_t len)
{
	return owed_has_any(&space->owed, from, from + len) ||
	       owed_has_any(&space->owed, to, to + len);
}

static int doubt_both(struct lazyd *lazyd, struct space *child, uint64_t from, uint64_t to,
		      uint64_t len, bool is_owing)
{
	int ret;

	/* With nothing owed at either place, what is missing at both is zeros. */
	if (!is_owing && !owes_any(child, from, to, len)) {
		if (has_areas(&child->owed, from, from + len))
			return owed_remap(&child->owed, from, to, len);
		return owed_remap(&child->owed, to, from, len);
	}
	ret = doubt(lazyd, child, from, from + len);
	return ret ? ret : doubt(lazyd, child, to, to + len);
}

/* The event was read first; was the fork? */
static int take_back_remap(struct lazyd *lazyd, struct space *child,
			   const struct recent_change *move)
{
	enum where where = ask_child(child, move->from, move->to);
	int ret;

	/* An UNMAP event that is still to come is not for the child, which has nothing there. */
	if (where == AT_TO || where == AT_NEITHER)
		return owed_unmap(&child->owed, move->from, move->from + move->len);
	if (where == AT_BOTH && !move->was_target)
		return 0;
	/* At both with the source unmapped for good: the target is the child's old one. */
	if (where == AT_UNKNOWN || (where == AT_BOTH && !move->has_left))
		return doubt_both(lazyd, child, move->from, move->to, move->len, move->is_owing);
	if (!has_areas(&child->owed, move->to, move->to + move->len))
		return 0; /* moved on since, and taken back from there */
	ret = owed_remap(&child->owed, move->to, move->from, move->len);
	if (!ret)
		ret = owed_unmap(&child->owed, move->to, move->to + move->len);
	return !ret && where == AT_BOTH ? doubt(lazyd, child, move->to, move->to + move->len) : ret;
}

/* Nobody else can have changed the memory while the only thread forked. */
static bool is_single(const struct space *space)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/task", space->host_pid);
	return space->host_pid && !stat(path, &st) && st.st_nlink == 3;
}

/* The child may have what the parent has unmapped; its event was read first. */
static int take_back_unmap(struct lazyd *lazyd, struct space *child,
			   const struct recent_change *change)
{
	struct owed_area area = { .start = change->from,
				  .end = change->from + change->len,
				  .kind = change->kind,
				  .page_size = change->page_size };

	if (has_areas(&child->owed, area.start, area.end))
		return 0;
	if (change->is_owing)
		return doubt(lazyd, child, area.start, area.end);
	return owed_add(&child->owed, &area); /* zeros, if it has it */
}

int race_fork(struct lazyd *lazyd, struct space *parent, struct space *child)
{
	int ret = 0;

	child->is_young = !is_single(parent);
	for (size_t i = parent->nr_recent; i-- > 0 && !ret;) {
		const struct recent_change *change = &parent->recent[i];

		if (!change->is_unmap)
			ret = take_back_remap(lazyd, child, change);
		else
			ret = take_back_unmap(lazyd, child, change);
	}
	return ret;
}

/* The fork's event was read first; was the move? */
static int follow_remap(struct lazyd *lazyd, struct space *parent, struct space *child,
			uint64_t from, uint64_t to, uint64_t len)
{
	int ret;

	if (!has_areas(&child->owed, from, from + len))
		return 0;
	switch (ask_child(child, from, to)) {
	case AT_FROM:
	case AT_NEITHER:
		return 0;
	case AT_TO:
		/* Unless it has been there all the time, and what is known of the source is old. */
		if (has_areas(&child->owed, to, to + len) && !was_unmapped(parent, to, to + len))
			return owed_unmap(&child->owed, from, from + len);
		ret = owed_remap(&child->owed, from, to, len);
		return ret ? ret : owed_unmap(&child->owed, from, from + len);
	case AT_BOTH:
		if (!has_areas(&child->owed, to, to + len))
			return owed_remap(&child->owed, from, to, len);
		/* fall through */
	default:
		return doubt_both(lazyd, child, from, to, len, owes_any(parent, from, to, len));
	}
}

int race_remap(struct lazyd *lazyd, struct space *space, uint64_t from, uint64_t to, uint64_t len)
{
	struct recent_change change = {
		.from = from,
		.to = to,
		.len = len,
		.is_owing = owes_any(space, from, to, len),
		.was_target =
			has_areas(&space->owed, to, to + len) || was_unmapped(space, to, to + len),
	};
	struct space *child;
	int ret = note(space, &change);

	TAILQ_FOREACH (child, &lazyd->spaces, link) {
		if (!ret && child->parent == space && child->is_young)
			ret = follow_remap(lazyd, space, child, from, to, len);
	}
	return ret;
}

bool race_is_open(struct lazyd *lazyd, struct space *space)
{
	if (!space->is_young)
		return false;
	if (space->parent && registered(space->parent, LAZY_PAGE) == -EAGAIN) {
		/* The event cannot be read before a descriptor is free: not a wait without end. */
		if (lazyd->is_short_of_fds && lazy_now() - space->born > SHORT_MAX_NS)
			space_kill(lazyd, space, "no descriptor is left to follow its parent", 0);
		return true;
	}
	if (space->parent)
		race_calm(lazyd, space->parent);
	space->is_young = false;
	durable_grown_up(lazyd, space);
	return false;
}

void race_calm(struct lazyd *lazyd, struct space *space)
{
	struct space *child;

	if (space->nr_recent)
		durable_calm(lazyd, space);
	space->nr_recent = 0;
	if (!space->has_young)
		return;
	space->has_young = false;
	TAILQ_FOREACH (child, &lazyd->spaces, link) {
		if (child->parent != space || !child->is_young)
			continue;
		child->is_young = false;
		durable_grown_up(lazyd, child);
	}
}
