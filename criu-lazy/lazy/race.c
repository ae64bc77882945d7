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
 *
 * A child that has the source of a move and not its target is older than the move, unless the
 * source was kept (MREMAP_DONTUNMAP) and what had moved was unmapped, all or a part, before the
 * fork. So the parts are asked one by one: a move is done as a whole, and a part that must have
 * moved tells of the others. Where nothing tells, the child gets an error, never a wrong byte.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lazy/durable.h"
#include "lazy/engine.h"
#include "lazy/uffd.h"
#include "util/clock.h"
#include "util/log.h"

#define SHORT_MAX_NS 2000000000ull

enum where { AT_NEITHER, AT_FROM, AT_TO, AT_BOTH, AT_UNKNOWN };

static bool has_areas(struct owed *owed, uint64_t start, uint64_t end)
{
	struct owed_area *area = owed_next(owed, start);

	return area && area->start < end;
}

static bool overlaps(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
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

static int ask_registered(const struct space *child, uint64_t addr)
{
	int ret = uffd_covers(child->uffd, addr, addr + LAZY_PAGE);

	return ret == -ENOENT ? 0 : ret ? ret : 1;
}

/*
 * While its fork is settled the child cannot change its answer but to -EAGAIN, and moves to and fro
 * ask for the same few addresses again and again.
 */
static int registered(struct space *child, uint64_t addr)
{
	struct asked *asked =
		&child->asked[addr / LAZY_PAGE * 0x9e3779b97f4a7c15ull >> SPACE_ASKED_SHIFT];
	int ret;

	if (child->is_settling && asked->addr == addr && addr)
		return asked->is_registered;
	ret = ask_registered(child, addr);
	if (child->is_settling && ret >= 0)
		*asked = (struct asked){ .addr = addr, .is_registered = ret };
	return ret;
}

static enum where ask_child(struct space *child, uint64_t from, uint64_t to)
{
	int at_from = registered(child, from), at_to = registered(child, to);

	if (at_from < 0 || at_to < 0)
		return at_from == -ESRCH || at_to == -ESRCH ? AT_NEITHER : AT_UNKNOWN;
	return at_from ? (at_to ? AT_BOTH : AT_FROM) : at_to ? AT_TO : AT_NEITHER;
}

/* Touching it is an error, never a wrong byte. How many pages; -ESRCH: it cannot be said so. */
static int64_t poison(const struct space *child, uint64_t start, uint64_t end, uint64_t page_size)
{
	int64_t count = 0;
	uint64_t done;

	/* One by one: where areas meet, the kernel refuses what reaches across. */
	for (uint64_t at = start; at < end; at += page_size) {
		int ret = uffd_poison(child->uffd, at, page_size, &done);

		if (ret == -EAGAIN)
			return ret;
		count += !ret;
	}
	return count;
}

/* What the child has there cannot be known. */
static int doubt(struct lazyd *lazyd, struct space *child, uint64_t start, uint64_t end,
		 uint64_t page_size)
{
	int64_t count = lazyd->has_poison ? poison(child, start, end, page_size) : -ENOSYS;

	if (count < 0 && (has_areas(&child->owed, start, end) || registered(child, start))) {
		space_kill(lazyd, child, "it was forked during a change of its memory", start);
		return 0;
	}
	if (count > 0)
		log_warn("task %d: forked while another thread changed 0x%" PRIx64 "-0x%" PRIx64
			 ": the child cannot use it",
			 child->image_pid, start, end);
	return owed_unmap(&child->owed, start, end);
}

/*
 * Nothing is known of parts of [start, end) that the child may have: because of a change that it
 * has not seen. What was owed there is forgotten; where nothing was, zeros are due.
 */
static int mend(struct lazyd *lazyd, struct space *child, const struct recent_change *change,
		uint64_t start, uint64_t end)
{
	int ret = 0;

	while (start < end && !ret) {
		const struct owed_area *area = owed_next(&child->owed, start);
		struct owed_area gap = { .start = start,
					 .end = area && area->start < end ? area->start : end,
					 .kind = change->kind,
					 .page_size = change->page_size };

		start = area && area->end < end ? area->end : end;
		if (area && area->start <= gap.start)
			continue;
		if (change->is_owing)
			ret = doubt(lazyd, child, gap.start, gap.end, change->page_size);
		else
			ret = owed_add(&child->owed, &gap);
	}
	return ret;
}

static bool owes_any(struct space *space, uint64_t from, uint64_t to, uint64_t len)
{
	return owed_has_any(&space->owed, from, from + len) ||
	       owed_has_any(&space->owed, to, to + len);
}

static int doubt_both(struct lazyd *lazyd, struct space *child, const struct recent_change *part)
{
	int ret;

	/* With nothing owed at either place, what is missing at both is zeros. */
	if (!part->is_owing && !owes_any(child, part->from, part->to, part->len)) {
		ret = mend(lazyd, child, part, part->from, part->from + part->len);
		return ret ? ret : mend(lazyd, child, part, part->to, part->to + part->len);
	}
	ret = doubt(lazyd, child, part->from, part->from + part->len, part->page_size);
	return ret ? ret : doubt(lazyd, child, part->to, part->to + part->len, part->page_size);
}

/* Is there a move of [start, start + len), or a part of it, among these changes: from there, or to
 * there? */
static bool has_moved(const struct space *space, size_t first, size_t last, uint64_t start,
		      uint64_t len, bool is_from)
{
	for (size_t i = first; i < last; i++) {
		const struct recent_change *move = &space->recent[i];

		if (!move->is_unmap &&
		    overlaps(is_from ? move->from : move->to, move->len, start, len))
			return true;
	}
	return false;
}

static bool has_come(const struct space *space, size_t first, size_t last, uint64_t start,
		     uint64_t len)
{
	return has_moved(space, first, last, start, len, false);
}

static bool has_left(const struct space *space, size_t first, size_t last, uint64_t start,
		     uint64_t len)
{
	return has_moved(space, first, last, start, len, true);
}

/* Brings *end down to the next address after base + at where something begins or ends. */
static void cut(uint64_t base, uint64_t at, uint64_t edge, uint64_t *end)
{
	if (edge > base + at && edge < base + *end)
		*end = edge - base;
}

static void cut_places(const struct recent_change *move, uint64_t at, uint64_t edge, uint64_t *end)
{
	cut(move->from, at, edge, end);
	cut(move->to, at, edge, end);
}

/* The part of the move from `at` on that changes and areas do not divide. */
static struct recent_change part_of(struct space *parent, struct space *child,
				    const struct recent_change *move, uint64_t at)
{
	const struct owed_area *areas[] = { owed_next(&child->owed, move->from + at),
					    owed_next(&child->owed, move->to + at) };
	struct recent_change part = *move;
	uint64_t end = move->len;

	for (size_t i = 0; i < parent->nr_recent; i++) {
		const struct recent_change *change = &parent->recent[i];

		cut_places(move, at, change->from, &end);
		cut_places(move, at, change->from + change->len, &end);
		if (change->is_unmap)
			continue;
		cut_places(move, at, change->to, &end);
		cut_places(move, at, change->to + change->len, &end);
	}
	for (int i = 0; i < 2; i++) {
		if (!areas[i])
			continue;
		cut(i ? move->to : move->from, at, areas[i]->start, &end);
		cut(i ? move->to : move->from, at, areas[i]->end, &end);
	}
	part.from += at;
	part.to += at;
	part.len = end - at;
	return part;
}

/* Can nothing but this move have brought what the child has there? A move is all or nothing. */
static bool must_have_moved(struct space *parent, struct space *child, size_t index)
{
	const struct recent_change *move = &parent->recent[index];
	struct recent_change part;

	for (uint64_t at = 0; at < move->len && !move->was_target; at += part.len) {
		part = part_of(parent, child, move, at);
		if (!has_left(parent, 0, index, part.to, part.len) &&
		    !has_come(parent, index + 1, parent->nr_recent, part.to, part.len) &&
		    registered(child, part.to) == 1)
			return true;
	}
	return false;
}

static int put_back(struct space *child, const struct recent_change *part)
{
	int ret = owed_remap(&child->owed, part->to, part->from, part->len);

	return ret ? ret : owed_unmap(&child->owed, part->to, part->to + part->len);
}

/* The child has the source and not the target: nothing has moved yet, or, with MREMAP_DONTUNMAP,
 * what had moved was gone again. */
static int settle_source(struct lazyd *lazyd, struct space *parent, struct space *child,
			 size_t index, const struct recent_change *part)
{
	const bool has_followed =
		has_come(parent, index + 1, parent->nr_recent, part->from, part->len) &&
		has_areas(&child->owed, part->from, part->from + part->len);

	if (has_followed)
		return 0; /* moved on since, and taken back from there */
	if (has_areas(&child->owed, part->to, part->to + part->len))
		return put_back(child, part);
	if (part->is_owing)
		return doubt(lazyd, child, part->from, part->from + part->len, part->page_size);
	return mend(lazyd, child, part, part->from, part->from + part->len);
}

static int settle_part(struct lazyd *lazyd, struct space *parent, struct space *child, size_t index,
		       const struct recent_change *part, bool has_moved)
{
	const bool is_chain = has_come(parent, 0, index, part->from, part->len);
	struct recent_change zeros = *part;

	switch (ask_child(child, part->from, part->to)) {
	case AT_NEITHER:
		if (!has_moved && is_chain &&
		    has_areas(&child->owed, part->to, part->to + part->len))
			return put_back(child, part);
		return owed_unmap(&child->owed, part->from, part->from + part->len);
	case AT_TO:
		if (!has_moved && part->was_target && is_chain)
			return doubt_both(lazyd, child, part);
		/* An UNMAP event that is still to come is not for the child. */
		return owed_unmap(&child->owed, part->from, part->from + part->len);
	case AT_FROM:
		if (!has_moved)
			return settle_source(lazyd, parent, child, index, part);
		break;
	case AT_BOTH:
		if (!has_moved)
			return doubt_both(lazyd, child, part);
		break;
	default:
		return doubt_both(lazyd, child, part);
	}
	/* What MREMAP_DONTUNMAP leaves; and the parent may have unmapped it since. */
	zeros.is_owing = part->kind == LAZY_RANGE_SHMEM && part->is_owing;
	return mend(lazyd, child, &zeros, part->from, part->from + part->len);
}

/* The event was read first; was the fork? */
static int take_back_remap(struct lazyd *lazyd, struct space *parent, struct space *child,
			   size_t index)
{
	const struct recent_change *move = &parent->recent[index];
	const bool has_moved = must_have_moved(parent, child, index);
	struct recent_change part;
	int ret = 0;

	for (uint64_t at = 0; at < move->len && !ret; at += part.len) {
		part = part_of(parent, child, move, at);
		ret = settle_part(lazyd, parent, child, index, &part, has_moved);
	}
	return ret;
}

/* Nobody else can have changed the memory while the only thread forked. */
static bool is_single(const struct space *space)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/task", space->host_pid);
	return space->host_pid && !stat(path, &st) && st.st_nlink == 3;
}

int race_fork(struct lazyd *lazyd, struct space *parent, struct space *child)
{
	int ret = 0;

	child->is_young = !is_single(parent);
	child->is_settling = true;
	for (size_t i = parent->nr_recent; i-- > 0 && !ret;) {
		const struct recent_change *change = &parent->recent[i];

		if (!change->is_unmap)
			ret = take_back_remap(lazyd, parent, child, i);
		else /* the child may have what the parent has unmapped */
			ret = mend(lazyd, child, change, change->from, change->from + change->len);
	}
	return ret;
}

/*
 * Something leaves an address, at which a move whose source may not have been unmapped had put it.
 * A child that has the source was taken to be older than the move; it may be younger than both.
 */
static int doubt_sources(struct lazyd *lazyd, struct space *parent, struct space *child,
			 uint64_t start, uint64_t len)
{
	int ret = 0;

	for (size_t i = 0; i < parent->nr_recent && !ret; i++) {
		const struct recent_change *move = &parent->recent[i];
		uint64_t first = start > move->to ? start - move->to : 0;
		uint64_t last =
			start + len < move->to + move->len ? start + len - move->to : move->len;

		if (move->is_unmap || move->has_left || !move->is_owing ||
		    !overlaps(start, len, move->to, move->len) ||
		    has_areas(&child->owed, move->to + first, move->to + last))
			continue;
		ret = doubt(lazyd, child, move->from + first, move->from + last, move->page_size);
	}
	return ret;
}

static bool is_young_child(const struct space *child, const struct space *parent)
{
	return child->parent == parent && child->is_young;
}

int race_unmap(struct lazyd *lazyd, struct space *space, uint64_t start, uint64_t end)
{
	struct recent_change change = { .from = start, .len = end - start, .is_unmap = true };
	const struct owed_area *area = owed_next(&space->owed, start);
	bool is_source = false;
	struct space *child;
	int ret = 0;

	/* Of the very length: what mremap(2) has moved, or else as good. */
	for (size_t i = 0; i < space->nr_recent; i++) {
		struct recent_change *move = &space->recent[i];

		if (!move->is_unmap && !move->has_left && move->from == start &&
		    move->len == change.len)
			move->has_left = is_source = space->owed.is_dirty = true;
	}
	if (is_source || !area || area->start >= end)
		return 0;
	change.is_owing = owed_has_any(&space->owed, start, end);
	change.kind = area->kind;
	change.page_size = area->page_size;
	TAILQ_FOREACH (child, &lazyd->spaces, link) {
		if (!ret && is_young_child(child, space))
			ret = doubt_sources(lazyd, space, child, start, change.len);
	}
	return ret ? ret : note(space, &change);
}

/* The fork's event was read first; was the move? */
static int follow_remap(struct lazyd *lazyd, struct space *parent, struct space *child,
			const struct recent_change *move)
{
	const uint64_t from = move->from, to = move->to, len = move->len;
	int ret;

	if (!has_areas(&child->owed, from, from + len)) {
		ret = doubt_sources(lazyd, parent, child, from, len);
		return ret || registered(child, to) == 0 ? ret
							 : mend(lazyd, child, move, to, to + len);
	}
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
		return doubt_both(lazyd, child, move);
	}
}

int race_remap(struct lazyd *lazyd, struct space *space, uint64_t from, uint64_t to, uint64_t len)
{
	struct recent_change move = {
		.from = from,
		.to = to,
		.len = len,
		.is_owing = owes_any(space, from, to, len),
		.was_target =
			has_areas(&space->owed, to, to + len) || was_unmapped(space, to, to + len),
		.page_size = LAZY_PAGE,
	};
	const struct owed_area *area = owed_next(&space->owed, from);
	struct space *child;
	int ret = 0;

	if (area && area->start < from + len) {
		move.kind = area->kind;
		move.page_size = area->page_size;
	}
	TAILQ_FOREACH (child, &lazyd->spaces, link) {
		if (!ret && is_young_child(child, space))
			ret = follow_remap(lazyd, space, child, &move);
	}
	return ret ? ret : note(space, &move);
}

bool race_is_open(struct lazyd *lazyd, struct space *space)
{
	if (!space->is_young)
		return false;
	if (space->parent && registered(space->parent, LAZY_PAGE) == -EAGAIN) {
		/* The event cannot be read before a descriptor is free: not a wait without end. */
		if (lazyd->is_short_of_fds && clock_ns() - space->born > SHORT_MAX_NS)
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
