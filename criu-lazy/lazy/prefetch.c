// SPDX-License-Identifier: GPL-2.0
#include "lazy/prefetch.h"

#include <inttypes.h>

#include "lazy/arm.h"
#include "lazy/engine.h"
#include "lazy/remote.h"
#include "transport/wire.h"
#include "util/log.h"

/*
 * Of the working set before a task runs: what is copied, at 1.5 us a page, is waited for. The next
 * time is never quite the same, so a small set comes with what is around it.
 */
enum { PAGES_FIRST = 16384, PAGES_WITH_AROUND = 4096, AROUND = 16 << 10, OBJECTS_MAX = 4096 };

static bool is_early(const struct lazyd *lazyd)
{
	return lazyd->remote && lazyd->workset.count &&
	       (!lazyd->nr_tasks || lazyd->nr_hellos + lazyd->nr_lost < lazyd->nr_tasks);
}

static bool has_come(const struct lazyd *lazyd, uint64_t object)
{
	const struct segment *segment;
	const struct space *space;

	if (wire_object_type(object) == WIRE_SHMEM) {
		SLIST_FOREACH (segment, &lazyd->segments, link)
			if (segment->shmid == wire_object_id(object))
				return true;
		return false;
	}
	TAILQ_FOREACH (space, &lazyd->spaces, link)
		if (!space->is_forked && (uint64_t)space->image_pid == wire_object_id(object))
			return true;
	return false;
}

bool prefetch_awaits(const struct lazyd *lazyd, uint64_t object)
{
	return is_early(lazyd) && !has_come(lazyd, object);
}

/* An object that the images do not have (any more) is passed over. */
static void open_object(struct lazyd *lazyd, uint64_t object)
{
	struct lazy_source *source;

	if (arm_source(lazyd, object, &source))
		log_debug("working set: object 0x%" PRIx64 " is not here", object);
}

static void choose_first(struct lazyd *lazyd)
{
	const struct workset *set = &lazyd->workset;
	struct workset *first = &lazyd->workset_first;
	int ret = workset_first(set, PAGES_FIRST, AROUND, first);

	if (!ret && first->pages > PAGES_WITH_AROUND) {
		workset_fini(first);
		ret = workset_first(set, PAGES_FIRST, LAZY_PAGE, first);
	}
	if (ret)
		log_warn("working set: no memory for its beginning");
}

void prefetch_open(struct lazyd *lazyd)
{
	const struct workset *set = &lazyd->workset;
	size_t nr_objects = 0;

	choose_first(lazyd);
	if (!lazyd->remote)
		return;
	for (size_t i = 0; i < set->count && nr_objects < OBJECTS_MAX; i++) {
		uint64_t object = set->runs[i].object;

		if (i && object == set->runs[i - 1].object)
			continue;
		if (arm_find_source(lazyd, object))
			continue;
		nr_objects++;
		open_object(lazyd, object);
	}
}

void prefetch_fill(struct lazyd *lazyd, struct space *space)
{
	const struct workset *set = &lazyd->workset_first;
	uint64_t object = 0;
	struct lazy_source *source = NULL;

	for (size_t i = 0; i < set->count && !space->is_gone; i++) {
		const struct workset_run *run = &set->runs[i];

		if (!source || run->object != object)
			source = arm_find_source(lazyd, run->object);
		object = run->object;
		if (!source)
			continue;
		remote_span_of(lazyd, space, source, run->vaddr, run->nr_pages * LAZY_PAGE,
			       CAUSE_WORKING_SET);
	}
}

bool prefetch_is_pending(struct lazyd *lazyd, struct space *space)
{
	const struct workset *set = &lazyd->workset_first;

	if (!lazyd->remote)
		return false;
	for (; space->prefetched < set->count; space->prefetched++) {
		const struct workset_run *run = &set->runs[space->prefetched];
		struct lazy_source *source = arm_find_source(lazyd, run->object);
		uint64_t len = run->nr_pages * LAZY_PAGE;

		if (!source || !remote_is_owed(space, source, run->vaddr, len))
			continue;
		/* A source that does not push, as CRIU's: with as many requests as it takes. */
		if (remote_must_ask(lazyd))
			remote_ask(lazyd, source, run->vaddr, len, false);
		return true;
	}
	return false;
}

void prefetch_settle(struct lazyd *lazyd)
{
	const struct workset *set = &lazyd->workset_first;

	if (!lazyd->remote || is_early(lazyd))
		return;
	for (size_t i = 0; i < set->count; i++) {
		const struct workset_run *run = &set->runs[i];
		struct lazy_source *source = arm_find_source(lazyd, run->object);

		if (source)
			remote_release(lazyd, source, run->vaddr, run->nr_pages * LAZY_PAGE);
	}
}
