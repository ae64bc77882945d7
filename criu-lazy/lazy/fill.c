// SPDX-License-Identifier: GPL-2.0
/*
 * Which pages next: on demand, around what was demanded, and in the background.
 *
 * All is done by the engine's thread in bounded pieces; between two pieces it looks for events. So
 * every copy rests on an owed set that knows all events read, and those not read yet make the
 * kernel refuse the copy (UFFD.md 8, 11).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lazy/arm.h"
#include "lazy/deliver.h"
#include "lazy/guard.h"
#include "lazy/remote.h"
#include "lazy/uffd.h"
#include "util/clock.h"
#include "util/log.h"

#define NEAR_MIN       (16ull << 10)
#define NEAR_MAX       (512ull << 10)
#define NEAR_PIECE     (64ull << 10)
#define QUIET_PIECE    (256ull << 10) /* no fault lately */
#define BUSY_PIECE     (32ull << 10)
#define PRESSED_PIECE  (256ull << 10) /* when copies hardly ever succeed */
#define QUIET_AFTER_NS 1000000ull
#define UNEXPLAINED_NS 100000000ull
#define JOB_SPAN       (2ull << 20)
#define SOLO_SWEEPS    2 /* the rest of this one, and one from the start */
#define RUNS_PER_PIECE 16

static void park(struct lazyd *lazyd, struct space *space, const struct parked_fault *fault)
{
	if (space->nr_parked == space->parked_room) {
		size_t room = space->parked_room ? space->parked_room * 2 : 16;
		void *grown = realloc(space->parked, room * sizeof(*space->parked));

		if (!grown) {
			space_kill(lazyd, space, "no memory to remember a fault", fault->addr);
			return;
		}
		space->parked = grown;
		space->parked_room = room;
	}
	space->parked[space->nr_parked++] = *fault;
	space->nr_absent += fault->is_absent;
	lazyd->stats.parked++;
}

/* Are [from, to) registered without a gap, in however many areas? */
static bool is_unbroken(struct space *space, uint64_t from, uint64_t to, uint64_t page_size)
{
	while (from < to) {
		uint64_t len = to - from;

		while (uffd_covers(space->uffd, from, from + len)) {
			if (len <= page_size)
				return false;
			len = (len / 2 + page_size - 1) / page_size * page_size;
		}
		from += len;
	}
	return true;
}

static bool extend_area(struct space *space, const struct owed_area *near, uint64_t start,
			uint64_t end)
{
	struct owed_area grown = *near;

	grown.start = start;
	grown.end = end;
	if (near->kind == LAZY_RANGE_SHMEM) { /* more of the segment, which may be owed */
		grown.image = near->image + (start - near->start);
		space->is_idle = false;
	} else {
		grown.bits = NULL;
	}
	return !owed_add(&space->owed, &grown);
}

/*
 * A fault outside all areas. An area that was grown in place (mremap, a stack) is registered there
 * and due zeros. Anything else is not explained by the events read so far.
 */
static bool explain_stray(struct space *space, uint64_t addr)
{
	struct owed_area *above = owed_next(&space->owed, addr);
	struct owed_area *below = above ? RB_PREV(owed_tree, &space->owed.areas, above)
					: RB_MAX(owed_tree, &space->owed.areas);

	if (below) {
		uint64_t size = below->page_size;
		uint64_t end = addr / size * size + size;

		if (is_unbroken(space, below->end - size, end, size))
			return extend_area(space, below, below->end, end);
	}
	if (above) {
		uint64_t size = above->page_size;
		uint64_t start = addr / size * size;

		if (is_unbroken(space, start, above->start + size, size))
			return extend_area(space, above, start, above->start);
	}
	return false;
}

/* first_window: of a stream that begins here. */
static struct stream *pick_stream(struct space *space, uint64_t page, uint64_t first_window)
{
	struct stream *oldest = &space->streams[0];

	for (int i = 0; i < SPACE_STREAMS; i++) {
		struct stream *stream = &space->streams[i];

		if (stream->used && page >= stream->expected &&
		    page - stream->expected < (stream->window ? stream->window : NEAR_MIN)) {
			stream->window = stream->window ? stream->window * 2 : NEAR_MIN;
			if (stream->window > NEAR_MAX)
				stream->window = NEAR_MAX;
			return stream;
		}
		if (stream->used < oldest->used)
			oldest = stream;
	}
	oldest->window = first_window;
	return oldest;
}

static void want_near(struct space *space, const struct owed_area *area, uint64_t page)
{
	/* What is near in the image is in memory; what is elsewhere is worth asking for only if
	 * somebody is going that way. */
	bool is_far = area->bits && lazy_source_landing(area->bits->source);
	struct stream *stream = pick_stream(space, page, is_far ? 0 : NEAR_MIN);

	stream->used = ++space->stream_clock;
	stream->start = page + area->page_size;
	stream->end = stream->start + stream->window;
	stream->expected = stream->end;
	space->has_near |= stream->window > 0;
}

/*
 * Who fills fresh memory in order should not come here for every page. Zeros of private memory cost
 * no memory; of a segment they would.
 */
static uint64_t zeros_ahead(struct space *space, const struct owed_area *area, uint64_t page,
			    bool is_new)
{
	struct stream *stream;
	uint64_t end = page + LAZY_PAGE, limit;

	if (!is_new || area->kind != LAZY_RANGE_ANON)
		return area->page_size;
	stream = pick_stream(space, page, NEAR_MIN);
	stream->used = ++space->stream_clock;
	limit = area->end - page > stream->window ? page + stream->window : area->end;
	while (end < limit && !owed_is_owed(area, end))
		end += LAZY_PAGE;
	stream->start = stream->end = stream->expected = end;
	return end - page;
}

static int zero_page(struct lazyd *lazyd, struct space *space, const struct owed_area *area,
		     uint64_t page, bool is_new)
{
	uint64_t len = zeros_ahead(space, area, page, is_new), done = 0;
	int ret;

	if (area->kind == LAZY_RANGE_HUGETLB) {
		ret = deliver_huge_zeros(lazyd, space, area, page);
	} else {
		ret = deliver_zeros(space, page, len, &done);
		if (ret && !done && len > LAZY_PAGE) /* two areas for the kernel */
			ret = deliver_zeros(space, page, LAZY_PAGE, &done);
		ret = done ? 0 : ret;
	}
	if (!ret)
		lazyd->stats.zero_pages += done ? done / LAZY_PAGE : 1;
	if (ret == -ENOENT && uffd_covers(space->uffd, page, page + area->page_size) == -EAGAIN)
		return -EAGAIN;
	if (ret == -EEXIST || ret == -ENOENT)
		ret = uffd_wake(space->uffd, page, page + area->page_size);
	return ret;
}

static int answer(struct lazyd *lazyd, struct space *space, struct owed_area *area, uint64_t page,
		  bool is_new)
{
	struct owed_run run = {
		.area = area,
		.start = page,
		.end = page + area->page_size,
		.image = area->image + (page - area->start),
	};
	int ret;

	if (!owed_is_owed(area, page))
		return zero_page(lazyd, space, area, page, is_new);
	if (is_new)
		stats_demand(lazyd, space);
	if (deliver_is_pressed(space) && area->page_size == LAZY_PAGE)
		owed_area_run(area, page, PRESSED_PIECE, &run);
	ret = deliver_run(lazyd, space, &run, CAUSE_DEMAND);
	if (is_new && lazyd->opts->record_working_set)
		workset_add(&lazyd->recorded, lazy_source_object(area->bits->source), run.image,
			    area->page_size / LAZY_PAGE);
	else if ((!ret || ret == -EINPROGRESS) && is_new)
		want_near(space, area, page);
	if (ret == -EINPROGRESS && is_new)
		remote_fault(lazyd, area->bits->source, run.image);
	return ret;
}

/*
 * Nothing is known at this address. When something was as the fault was parked, its thread may have
 * been let go on by another delivery since, and have unmapped it: who still waits faults again.
 */
static void serve_stray(struct lazyd *lazyd, struct space *space, struct parked_fault *fault,
			bool is_new)
{
	const uint64_t page = fault->addr & ~(LAZY_PAGE - 1);

	if (!is_new && !fault->is_stray) {
		uffd_wake(space->uffd, page, page + LAZY_PAGE);
		return;
	}
	fault->is_stray = true;
	if (clock_ns() - fault->since > UNEXPLAINED_NS)
		space_kill(lazyd, space, "it touched an area nobody can explain", fault->addr);
	deliver_backoff(space);
	park(lazyd, space, fault);
}

static void serve_fault(struct lazyd *lazyd, struct space *space, struct parked_fault fault,
			bool is_new)
{
	const uint64_t addr = fault.addr, since = fault.since;
	struct owed_area *area = owed_find(&space->owed, addr);
	bool done;
	int ret;

	fault.is_absent = false;
	if (race_is_open(lazyd, space)) {
		deliver_backoff(space);
		park(lazyd, space, &fault);
		return;
	}
	if (!area && explain_stray(space, addr))
		area = owed_find(&space->owed, addr);
	if (!area) {
		serve_stray(lazyd, space, &fault, is_new);
		return;
	}
	fault.is_stray = false;
	ret = answer(lazyd, space, area,
		     area->start + (addr - area->start) / area->page_size * area->page_size,
		     is_new);
	done = deliver_went_well(lazyd, space, ret, addr);
	if (done)
		stats_answered(lazyd, space, since);
	if (space->is_gone || done)
		return;
	fault.is_absent = ret == -EINPROGRESS;
	park(lazyd, space, &fault);
}

void fill_fault(struct lazyd *lazyd, struct space *space, uint64_t addr, uint64_t since)
{
	const struct parked_fault fault = { .addr = addr, .since = since };

	serve_fault(lazyd, space, fault, true);
}

void fill_parked(struct lazyd *lazyd, struct space *space)
{
	size_t count = space->nr_parked;
	struct parked_fault *faults = space->parked;

	if (!count || clock_ns() < space->hold)
		return;
	if (space->nr_absent == count && !space->is_due)
		return;
	space->is_due = false;
	space->parked = NULL;
	space->nr_parked = space->parked_room = space->nr_absent = 0;
	for (size_t i = 0; i < count && !space->is_gone; i++)
		serve_fault(lazyd, space, faults[i], false);
	free(faults);
}

int fill_eager(struct lazyd *lazyd, struct space *space, uint64_t start, uint64_t end)
{
	struct owed_area *area = owed_next(&space->owed, start);
	int pending = 0;

	/* Where nothing is owed there may be no area. */
	for (; area && area->start < end; area = RB_NEXT(owed_tree, &space->owed.areas, area)) {
		struct owed_run run = { .end = start };

		while (owed_area_run(area, run.end, end - start, &run) && run.start < end) {
			int ret;

			if (run.end > end)
				run.end = end;
			ret = deliver_run(lazyd, space, &run, CAUSE_EAGER);
			if (ret && ret != -EINPROGRESS)
				return ret;
			pending = ret ? ret : pending;
		}
	}
	return pending;
}

/* Drops pages that have become guard pages: no event tells (UFFD.md 4). */
static void drop_guards(struct space *space, uint64_t start, uint64_t end)
{
	struct guard_range ranges[16];
	int count;

	if (space->pagemap_fd < 0)
		return;
	do {
		count = guard_scan(space->pagemap_fd, &start, end, ranges, 16);
		for (int i = 0; i < count; i++)
			owed_remove(&space->owed, ranges[i].start, ranges[i].end);
	} while (count > 0 && start < end);
}

/* Runs of [start, end) in one area, up to `bytes` of pages; *start moves on. False: nothing left
 * there. */
static bool fill_piece(struct lazyd *lazyd, struct space *space, struct owed_area *area,
		       uint64_t *start, uint64_t end, uint64_t bytes, enum lazy_cause cause)
{
	struct owed_run run;
	uint64_t copied = 0;

	for (int i = 0; i < RUNS_PER_PIECE && copied < bytes; i++) {
		int ret;

		if (!owed_area_run(area, *start, bytes - copied, &run) || run.start >= end)
			return i > 0;
		if (i == 0)
			drop_guards(space, run.start,
				    run.start + bytes < area->end ? run.start + bytes : area->end);
		if (i == 0 && !owed_area_run(area, *start, bytes - copied, &run))
			return true;
		if (run.end > end)
			run.end = end;
		ret = deliver_run(lazyd, space, &run, cause);
		if (ret == -ENOBUFS) {
			space->is_idle = cause == CAUSE_BACKGROUND;
			return space->is_idle;
		}
		if (ret == -EINPROGRESS)
			space->has_absent = true;
		else
			space->has_progress = true;
		if (ret != -EINPROGRESS && !deliver_went_well(lazyd, space, ret, run.start))
			return true;
		copied += run.end - run.start;
		*start = run.end;
	}
	return true;
}

bool fill_near(struct lazyd *lazyd, struct space *space)
{
	struct stream *newest = NULL;
	struct owed_area *area;

	for (int i = 0; i < SPACE_STREAMS; i++) {
		struct stream *stream = &space->streams[i];

		if (stream->start < stream->end && (!newest || stream->used > newest->used))
			newest = stream;
	}
	space->has_near = newest != NULL;
	if (!newest || clock_ns() < space->hold)
		return false;
	area = owed_find(&space->owed, newest->start);
	if (!area || !fill_piece(lazyd, space, area, &newest->start, newest->end, NEAR_PIECE,
				 CAUSE_NEIGHBOUR))
		newest->start = newest->end;
	return true;
}

static bool has_job(const struct lazyd *lazyd, const struct space *space)
{
	for (int i = 0; i < lazyd->nr_copiers; i++) {
		if (lazyd->copiers[i].owner == space)
			return true;
	}
	return false;
}

/*
 * What a copier could not do stays owed. Copiers only try; pages that are there already, or cannot
 * be read, or areas that are divided, are for the engine, which goes around without them.
 */
static void reap(struct lazyd *lazyd, struct copier *copier)
{
	struct space *space = copier->owner;

	copier->owner = NULL;
	for (int i = 0; i < copier->count; i++) {
		struct copy_piece *piece = &copier->pieces[i];
		struct owed_area *area = piece->done ? owed_find(&space->owed, piece->dst) : NULL;

		if (area)
			deliver_account(lazyd, area, piece->dst, piece->dst + piece->done,
					CAUSE_BACKGROUND);
	}
	if (copier->error == -ESRCH || copier->error == -ENOSPC)
		space->is_gone = true;
	else if (copier->error == -EAGAIN || copier->error == -ENOMEM)
		deliver_backoff(space);
	else if (copier->error)
		space->solo_sweeps = SOLO_SWEEPS;
}

void fill_reap(struct lazyd *lazyd, struct space *space)
{
	for (int i = 0; i < lazyd->nr_copiers; i++) {
		struct copier *copier = &lazyd->copiers[i];

		if (!copier->owner || (space && copier->owner != space))
			continue;
		if (space)
			copier_recall(copier);
		else if (atomic_load(&copier->state) != COPIER_DONE)
			continue;
		reap(lazyd, copier);
	}
}

/* Gives the next pages of the area to a copier that has nothing to do; *start moves past them. */
static void post_job(struct lazyd *lazyd, struct space *space, struct owed_area *area,
		     uint64_t *start, struct copier *copier)
{
	struct owed_run run;

	drop_guards(space, *start, area->end - *start > JOB_SPAN ? *start + JOB_SPAN : area->end);
	copier->count = 0;
	while (copier->count < COPIER_PIECES &&
	       owed_area_run(area, *start, COPIER_PIECE_BYTES, &run)) {
		uint64_t avail;
		const void *src;

		if (lazy_source_look(area->bits->source, run.image, run.end - run.start, true,
				     &avail, &src) != LAZY_HERE)
			break;
		copier->pieces[copier->count++] =
			(struct copy_piece){ .dst = run.start, .len = avail, .src = src };
		*start = run.start + avail;
	}
	if (!copier->count)
		return;
	copier->uffd = space->uffd;
	copier->owner = space;
	copier_post(copier);
}

static void post_jobs(struct lazyd *lazyd, struct space *space, struct owed_area *area,
		      uint64_t *start)
{
	for (int i = 0; i < lazyd->nr_copiers && *start < area->end; i++) {
		struct copier *copier = &lazyd->copiers[i];
		int state = atomic_load(&copier->state);

		if (!copier->owner && (state == COPIER_IDLE || state == COPIER_DONE))
			post_job(lazyd, space, area, start, copier);
	}
}

/*
 * A segment with several mappings is the engine's own: the copiers of one space are not recalled
 * when another one makes a hole in it.
 */
static bool can_have_copiers(const struct owed_area *area)
{
	return area->kind == LAZY_RANGE_ANON ||
	       (area->kind == LAZY_RANGE_SHMEM && area->bits && area->bits->refs <= 2);
}

bool fill_is_quiet(const struct lazyd *lazyd)
{
	return clock_ns() - lazyd->last_fault > QUIET_AFTER_NS;
}

bool fill_background(struct lazyd *lazyd, struct space *space)
{
	struct owed_area *area = owed_next(&space->owed, space->cursor);
	uint64_t now = clock_ns();
	struct owed_run run;
	bool is_quiet = fill_is_quiet(lazyd);

	if (now < space->hold || now < lazyd->background_after || space->is_idle)
		return false;
	if (race_is_open(lazyd, space)) {
		deliver_backoff(space);
		return false;
	}
	while (area && !area->bits)
		area = RB_NEXT(owed_tree, &space->owed.areas, area);
	if (!area) {
		if (has_job(lazyd, space))
			return true;
		/* Around again for what was skipped; the engine ends what owes nothing. */
		space->cursor = 0;
		if (space->solo_sweeps)
			space->solo_sweeps--;
		space->is_swept = true;
		/* The rest of a segment comes by way of others, or when it is mapped. */
		space->is_idle = !space->has_progress &&
				 (space->has_absent || !owed_has_any(&space->owed, 0, UINT64_MAX));
		space->has_absent = space->has_progress = false;
		return true;
	}
	if (space->cursor < area->start)
		space->cursor = area->start;
	/* What landed is released by the engine, and must not be in a copier's hands then. */
	if (is_quiet && !space->solo_sweeps && can_have_copiers(area) && area->bits &&
	    !lazy_source_landing(area->bits->source))
		post_jobs(lazyd, space, area, &space->cursor);
	if (fill_piece(lazyd, space, area, &space->cursor, area->end,
		       is_quiet ? QUIET_PIECE : BUSY_PIECE, CAUSE_BACKGROUND))
		return true;
	space->cursor = area->end;
	/* Pages before the cursor may be left: with a copier, or refused. */
	if (!owed_area_run(area, area->start, 0, &run))
		space_finish_area(space, area);
	return true;
}

/* Whose page has come is awake. */
static void answered(struct lazyd *lazyd, struct space *space, uint64_t start, uint64_t end)
{
	size_t kept = 0;

	for (size_t i = 0; i < space->nr_parked; i++) {
		struct parked_fault *fault = &space->parked[i];

		if (fault->is_absent && fault->addr >= start && fault->addr < end) {
			space->nr_absent--;
			stats_answered(lazyd, space, fault->since);
		} else {
			space->parked[kept++] = *fault;
		}
	}
	space->nr_parked = kept;
}

void fill_landed(struct lazyd *lazyd, struct space *space, struct owed_area *area, uint64_t start,
		 uint64_t end, enum lazy_cause cause)
{
	struct owed_run run;

	if (space->is_gone)
		return;
	/* A copy to where a young child has no memory yet, as far as is known, would be its last.
	 */
	if (clock_ns() < space->hold || race_is_open(lazyd, space)) {
		space->is_idle = false; /* it stays where it landed, for the background */
		return;
	}
	drop_guards(space, start, end);
	while (start < end && owed_area_run(area, start, end - start, &run) && run.start < end) {
		int ret;

		if (run.end > end)
			run.end = end;
		ret = deliver_landed(lazyd, space, &run, cause);
		if (!ret && space->nr_absent)
			answered(lazyd, space, run.start, run.end);
		if (ret != -EINPROGRESS && !deliver_went_well(lazyd, space, ret, run.start)) {
			space->is_idle = false;
			return;
		}
		start = run.end;
	}
	if (area->bits && !area->bits->nr_owed)
		space->is_idle = false; /* it can be released */
}

#define RECORD_QUIET_NS 300000000ull
enum { WORKSET_PAGES = 64, WORKSET_RUNS = 32 };

bool fill_may_run_ahead(const struct lazyd *lazyd)
{
	uint64_t last =
		lazyd->last_fault > lazyd->stats.start ? lazyd->last_fault : lazyd->stats.start;

	if (lazyd->opts->memory_mode == MEMORY_MODE_DEMAND)
		return false;
	if (lazyd->opts->record_working_set && !lazyd->stats.start)
		return false; /* no task is here yet */
	return !lazyd->opts->record_working_set || clock_ns() - last > RECORD_QUIET_NS;
}

bool fill_workset(struct lazyd *lazyd)
{
	uint64_t pages = 0;

	if (TAILQ_EMPTY(&lazyd->spaces))
		return false;
	for (int i = 0; i < WORKSET_RUNS && pages < WORKSET_PAGES; i++) {
		const struct workset_run *run;
		struct lazy_source *source;

		if (lazyd->workset_next >= lazyd->workset.count)
			return i > 0;
		run = &lazyd->workset.runs[lazyd->workset_next++];
		source = arm_find_source(lazyd, run->object);
		if (!source)
			continue;
		remote_span(lazyd, source, run->vaddr, run->nr_pages * LAZY_PAGE,
			    CAUSE_WORKING_SET);
		pages += run->nr_pages;
	}
	return true;
}
