// SPDX-License-Identifier: GPL-2.0
/*
 * Pages into address spaces: what a run of owed pages is made of, the copy, and how it ended.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "lazy/deliver.h"
#include "lazy/remote.h"
#include "lazy/uffd.h"
#include "util/clock.h"
#include "util/log.h"

#define BACKOFF_MIN_NS 20000ull
#define BACKOFF_MAX_NS 5000000ull
#define INSIST_FROM_NS 160000ull /* of backoff */
enum { REFUSALS_MAX = 2000 };	 /* about a second */
#define INSIST_NS 100000ull

void deliver_backoff(struct space *space)
{
	space->backoff = space->backoff ? space->backoff * 2 : BACKOFF_MIN_NS;
	if (space->backoff > BACKOFF_MAX_NS)
		space->backoff = BACKOFF_MAX_NS;
	space->hold = clock_ns() + space->backoff;
}

/* Waiters at other mappings of a shared page are not woken by the copy (UFFD.md 5). */
static void wake_other_mappings(struct lazyd *lazyd, const struct owed_area *filled, uint64_t image,
				uint64_t len)
{
	struct space *space;

	if (filled->kind != LAZY_RANGE_SHMEM || filled->bits->refs <= 2)
		return;
	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		struct owed_area *area;

		owed_for_each(area, &space->owed)
		{
			uint64_t from = image > area->image ? image : area->image;
			uint64_t to = area->image + (area->end - area->start);

			if (area == filled || area->bits != filled->bits)
				continue;
			if (to > image + len)
				to = image + len;
			if (from < to)
				uffd_wake(space->uffd, area->start + (from - area->image),
					  area->start + (to - area->image));
		}
	}
}

void deliver_account(struct lazyd *lazyd, struct owed_area *area, uint64_t start, uint64_t end,
		     enum lazy_cause cause)
{
	uint64_t image = area->image + (start - area->start);
	uint64_t pages = owed_done(area, start, end);

	lazyd->stats.pages[cause] += pages * (area->page_size / LAZY_PAGE);
	wake_other_mappings(lazyd, area, image, end - start);
}

/* An image page that cannot be read: a bus error for who touches it, never zeros (UFFD.md 34). */
static int give_up_page(struct lazyd *lazyd, struct space *space, struct owed_area *area,
			uint64_t addr)
{
	uint64_t done;
	int ret;

	if (!lazyd->has_poison) {
		space_kill(lazyd, space, "a page of its image cannot be read", addr);
		return 0;
	}
	ret = uffd_poison(space->uffd, addr, area->page_size, &done);
	if (ret && ret != -EEXIST)
		return ret;
	log_err("task %d: page 0x%" PRIx64 " of its image cannot be read: it is poisoned",
		space->image_pid, addr);
	lazyd->error = -EIO;
	lazyd->stats.poisoned++;
	owed_done(area, addr, addr + area->page_size);
	uffd_wake(space->uffd, addr, addr + area->page_size);
	return 0;
}

static int copy_once(struct space *space, uint64_t at, const char *src, uint64_t len,
		     uint64_t *done)
{
	return src ? uffd_copy(space->uffd, at, src, len, true, done)
		   : uffd_zero(space->uffd, at, len, done);
}

bool deliver_is_pressed(const struct space *space)
{
	return space->backoff >= INSIST_FROM_NS;
}

/*
 * The kernel refuses while a change of the address space is under way. A thread that makes one
 * after the other leaves about a microsecond between two, once its last event has been read: after
 * some failures that is waited for. A copy that succeeds has met no change that we do not know.
 */
static int copy_or_insist(struct space *space, uint64_t at, const char *src, uint64_t len,
			  uint64_t *done)
{
	int ret = copy_once(space, at, src, len, done);
	uint64_t until;

	if (ret != -EAGAIN || *done || !deliver_is_pressed(space))
		return ret;
	until = clock_ns() + INSIST_NS;
	while (ret == -EAGAIN && !*done && clock_ns() < until)
		ret = copy_once(space, at, src, len, done);
	return ret;
}

int deliver_zeros(struct space *space, uint64_t at, uint64_t len, uint64_t *done)
{
	return copy_or_insist(space, at, NULL, len, done);
}

/*
 * Copies [start, end), side by side in memory at src (NULL: zeros). Progress is settled as it is
 * made; 0 when all of it is, -EAGAIN when the rest must wait, -ESRCH when the space is gone.
 */
static int copy_pieces(struct lazyd *lazyd, struct space *space, struct owed_area *area,
		       uint64_t start, uint64_t end, const char *src, enum lazy_cause cause)
{
	uint64_t at = start, len = end - start, done;

	while (at < end) {
		int ret;

		if (len > end - at)
			len = end - at;
		ret = copy_or_insist(space, at, src ? src + (at - start) : NULL, len, &done);
		if (done)
			deliver_account(lazyd, area, at, at + done, cause);
		at += done;
		if (!ret || done)
			continue;
		if (ret == -EEXIST) {
			lazyd->stats.already += owed_done(area, at, at + area->page_size);
			uffd_wake(space->uffd, at, at + area->page_size);
			at += area->page_size;
		} else if (len > area->page_size && (ret == -ENOENT || ret == -EFAULT)) {
			/* Two areas for the kernel after an mprotect, or a bad page in the middle.
			 */
			len = len / 2 / area->page_size * area->page_size;
		} else if (ret == -ENOENT &&
			   uffd_covers(space->uffd, at, at + area->page_size) == -EAGAIN) {
			/* Moved or unmapped this instant; an event will say where to. */
			return -EAGAIN;
		} else if (ret == -ENOENT) {
			/* Not registered here: DONTFORK in a child, or unmapped before the fork. */
			owed_done(area, at, at + area->page_size);
			uffd_wake(space->uffd, at, at + area->page_size);
			lazyd->stats.dropped++;
			at += area->page_size;
		} else if (ret == -EFAULT) {
			ret = give_up_page(lazyd, space, area, at);
			if (ret)
				return ret;
			at += area->page_size;
		} else {
			return ret;
		}
	}
	return 0;
}

static bool huge_buffer(struct lazyd *lazyd, uint64_t size)
{
	void *buffer;

	if (lazyd->huge_size >= size)
		return true;
	buffer = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED)
		return false;
	if (lazyd->huge_size)
		munmap(lazyd->huge_buffer, lazyd->huge_size);
	lazyd->huge_buffer = buffer;
	lazyd->huge_size = size;
	return true;
}

/* May the source be asked for what is absent: no (ASK_LANDED: and the caller releases what landed),
 * as long as little is under way, or at once. */
enum ask { ASK_NOT, ASK_LANDED, ASK_BULK, ASK_NOW };

static enum ask ask_for(const struct lazyd *lazyd, enum lazy_cause cause)
{
	if (cause == CAUSE_DEMAND || cause == CAUSE_EAGER)
		return ASK_NOW;
	if (cause == CAUSE_NEIGHBOUR || remote_must_ask(lazyd))
		return ASK_BULK;
	return ASK_NOT; /* it is pushed */
}

/* -EINPROGRESS: it will come; -ENOBUFS: enough is under way. */
static int ask(struct lazyd *lazyd, struct space *space, struct lazy_source *source, uint64_t image,
	       uint64_t len, enum ask how)
{
	if (how == ASK_NOT || how == ASK_LANDED)
		return -EINPROGRESS;
	if (remote_ask(lazyd, source, image, len, how == ASK_NOW))
		return -ENOBUFS;
	return -EINPROGRESS;
}

/* A page whose source is gone: who needs it now ends; for the others it is poisoned. */
static int lose_pages(struct lazyd *lazyd, struct space *space, struct owed_area *area,
		      uint64_t start, uint64_t end, enum lazy_cause cause)
{
	if (cause == CAUSE_EAGER)
		return -EIO;
	if (cause == CAUSE_DEMAND || !lazyd->has_poison) {
		space_kill(lazyd, space, "the source of its memory is gone", start);
		space->hold = clock_ns() + BACKOFF_MAX_NS;
		return -EINPROGRESS;
	}
	for (uint64_t at = start; at < end; at += area->page_size) {
		int ret = give_up_page(lazyd, space, area, at);

		if (ret)
			return ret;
	}
	return 0;
}

/* A huge page is installed whole: its pieces and zeros for its holes are put together here. */
static int copy_huge(struct lazyd *lazyd, struct space *space, const struct owed_run *run,
		     enum lazy_cause cause, enum ask how)
{
	struct owed_area *area = run->area;
	struct lazy_source *source = area->bits->source;
	uint64_t size = area->page_size, avail;
	int ret, absent = 0;

	if (!huge_buffer(lazyd, size))
		return -ENOMEM;
	for (uint64_t at = 0; at < size; at += avail) {
		const void *src;

		switch (lazy_source_look(source, run->image + at, size - at, false, &avail, &src)) {
		case LAZY_HERE:
			ret = lazy_source_read(source, run->image + at, lazyd->huge_buffer + at,
					       avail);
			if (ret)
				return give_up_page(lazyd, space, area, run->start);
			break;
		case LAZY_ABSENT:
			absent = ask(lazyd, space, source, run->image + at, avail, how);
			break;
		case LAZY_LOST:
			return lose_pages(lazyd, space, area, run->start, run->start + size, cause);
		default:
			memset(lazyd->huge_buffer + at, 0, avail);
		}
	}
	if (absent)
		return absent;
	ret = copy_pieces(lazyd, space, area, run->start, run->start + size, lazyd->huge_buffer,
			  cause);
	if (!ret)
		remote_release(lazyd, source, run->image, size);
	return ret;
}

/* What of a run lies side by side, from `at` on; *avail: how much that was. */
static int deliver_some(struct lazyd *lazyd, struct space *space, const struct owed_run *run,
			uint64_t at, uint64_t *avail, enum lazy_cause cause, enum ask how)
{
	struct lazy_source *source = run->area->bits->source;
	uint64_t image = run->image + (at - run->start);
	const void *src = NULL;
	int ret;

	switch (lazy_source_look(source, image, run->end - at, cause == CAUSE_BACKGROUND, avail,
				 &src)) {
	case LAZY_HERE:
		ret = copy_pieces(lazyd, space, run->area, at, at + *avail, src, cause);
		if (!ret && how != ASK_LANDED)
			remote_release(lazyd, source, image, *avail);
		return ret;
	case LAZY_ZEROS:
		return copy_pieces(lazyd, space, run->area, at, at + *avail, NULL, cause);
	case LAZY_ABSENT:
		return ask(lazyd, space, source, image, *avail, how);
	case LAZY_LOST:
		return lose_pages(lazyd, space, run->area, at, at + *avail, cause);
	default: /* owed bits come from the source */
		return -EUCLEAN;
	}
}

/* Delivers what is here of a run. -EINPROGRESS: some of it is not, and asked for. */
static int deliver_from(struct lazyd *lazyd, struct space *space, const struct owed_run *run,
			enum lazy_cause cause, enum ask how)
{
	int pending = 0;
	uint64_t avail;

	if (run->area->kind == LAZY_RANGE_HUGETLB)
		return copy_huge(lazyd, space, run, cause, how);
	for (uint64_t at = run->start; at < run->end; at += avail) {
		int ret = deliver_some(lazyd, space, run, at, &avail, cause, how);

		if (ret == -EINPROGRESS)
			pending = ret;
		else if (ret)
			return ret;
	}
	return pending;
}

int deliver_run(struct lazyd *lazyd, struct space *space, const struct owed_run *run,
		enum lazy_cause cause)
{
	return deliver_from(lazyd, space, run, cause, ask_for(lazyd, cause));
}

int deliver_landed(struct lazyd *lazyd, struct space *space, const struct owed_run *run,
		   enum lazy_cause cause)
{
	return deliver_from(lazyd, space, run, cause, ASK_LANDED);
}

bool deliver_went_well(struct lazyd *lazyd, struct space *space, int ret, uint64_t addr)
{
	switch (ret) {
	case 0:
		space->nr_refusals = 0;
		space->backoff = space->backoff > BACKOFF_MIN_NS ? space->backoff / 2 : 0;
		race_calm(lazyd, space);
		return true;
	case -EINPROGRESS: /* from elsewhere; landing will tell */
		return false;
	case -EAGAIN:
		/* Soon again, and insisting; unless who changes its memory does not get on. */
		if (space->nr_refusals++ < REFUSALS_MAX && space->backoff > INSIST_FROM_NS)
			space->backoff = INSIST_FROM_NS;
		deliver_backoff(space);
		return false;
	case -ENOBUFS:
	case -ENOMEM: /* the task's memory cgroup is full: demand goes on trying, bulk waits */
		deliver_backoff(space);
		return false;
	case -ESRCH:
	case -ENOSPC: /* kernels before 5.11 */
		space->is_gone = true;
		return false;
	default:
		log_ret(ret, "task %d: copy to 0x%" PRIx64, space->image_pid, addr);
		space_kill(lazyd, space, "a page cannot be delivered", addr);
		space->hold = clock_ns() + BACKOFF_MAX_NS;
		return false;
	}
}

/* There is no shared huge page of zeros: UFFDIO_ZEROPAGE refuses hugetlb. */
int deliver_huge_zeros(struct lazyd *lazyd, struct space *space, const struct owed_area *area,
		       uint64_t page)
{
	uint64_t done;

	if (!huge_buffer(lazyd, area->page_size))
		return -ENOMEM;
	memset(lazyd->huge_buffer, 0, area->page_size);
	return uffd_copy(space->uffd, page, lazyd->huge_buffer, area->page_size, true, &done);
}
