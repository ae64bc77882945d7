// SPDX-License-Identifier: GPL-2.0
#include "transport/landing.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "transport/arena.h"
#include "transport/wire.h"
#include "util/bisect.h"

#define BITS 64u

struct run {
	uint64_t vaddr, nr_pages;
	uint64_t first; /* slot */
};

typedef _Atomic uint64_t word;

struct landing {
	uint64_t object;
	void *owner;
	struct run *runs;
	size_t nr_runs;
	uint64_t nr_slots;
	uint8_t *base;
	size_t size;
	/* claimed is set before a page is written, present when it is whole. */
	word *claimed, *present, *zero, *gone;
	uint64_t *asked;
	struct arena *arena;
	const uint8_t **adopted; /* per slot: where in the arena; NULL: not there */
	word *words;		 /* all of the above */
};

/* ---- bits -------------------------------------------------------------------- */

static bool has_bit(const word *bits, uint64_t slot)
{
	return atomic_load_explicit(&bits[slot / BITS], memory_order_acquire) >> slot % BITS & 1;
}

/* True: it was set before. */
static bool set_bit(word *bits, uint64_t slot)
{
	uint64_t bit = 1ull << slot % BITS;

	return atomic_fetch_or_explicit(&bits[slot / BITS], bit, memory_order_acq_rel) & bit;
}

static void clear_bit(word *bits, uint64_t slot)
{
	atomic_fetch_and_explicit(&bits[slot / BITS], ~(1ull << slot % BITS), memory_order_acq_rel);
}

static bool is_asked(const struct landing *landing, uint64_t slot)
{
	return landing->asked[slot / BITS] >> slot % BITS & 1;
}

/* ---- begin and end ------------------------------------------------------------ */

static int copy_runs(struct landing *landing, const struct landing_run *runs, size_t count)
{
	uint64_t end = 0;

	landing->runs = calloc(count + 1, sizeof(*landing->runs));
	if (!landing->runs)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (!runs[i].nr_pages || runs[i].vaddr % WIRE_PAGE || runs[i].vaddr < end ||
		    runs[i].nr_pages > (UINT64_MAX - runs[i].vaddr) / WIRE_PAGE)
			return -EINVAL;
		landing->runs[i] =
			(struct run){ runs[i].vaddr, runs[i].nr_pages, landing->nr_slots };
		landing->nr_slots += runs[i].nr_pages;
		end = runs[i].vaddr + runs[i].nr_pages * WIRE_PAGE;
	}
	landing->nr_runs = count;
	return 0;
}

static int make_slots(struct landing *landing)
{
	size_t nr_words = landing->nr_slots / BITS + 1;

	if (landing->nr_slots > SIZE_MAX / 2 / WIRE_PAGE)
		return -ENOMEM;
	landing->words = calloc(5 * nr_words, sizeof(word));
	landing->adopted = calloc(landing->nr_slots + 1, sizeof(*landing->adopted));
	if (!landing->words || !landing->adopted)
		return -ENOMEM;
	landing->claimed = landing->words;
	landing->present = landing->claimed + nr_words;
	landing->zero = landing->present + nr_words;
	landing->gone = landing->zero + nr_words;
	landing->asked = (uint64_t *)(landing->gone + nr_words);
	landing->size = landing->nr_slots * WIRE_PAGE;
	if (!landing->size)
		return 0;
	landing->base = mmap(NULL, landing->size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (landing->base == MAP_FAILED) {
		landing->base = NULL;
		return -errno;
	}
	/* Pages come and go one by one; locked ones (mlockall) would not go. */
	munlock(landing->base, landing->size);
	madvise(landing->base, landing->size, MADV_NOHUGEPAGE);
	madvise(landing->base, landing->size, MADV_DONTDUMP);
	return 0;
}

int landing_new(uint64_t object, const struct landing_run *runs, size_t count, void *owner,
		struct landing **out)
{
	struct landing *landing = calloc(1, sizeof(*landing));
	int ret;

	if (!landing)
		return -ENOMEM;
	landing->object = object;
	landing->owner = owner;
	ret = copy_runs(landing, runs, count);
	if (!ret)
		ret = make_slots(landing);
	if (ret) {
		landing_free(landing);
		return ret;
	}
	*out = landing;
	return 0;
}

void landing_free(struct landing *landing)
{
	if (!landing)
		return;
	if (landing->base)
		munmap(landing->base, landing->size);
	free(landing->words);
	free(landing->adopted);
	free(landing->runs);
	free(landing);
}

uint64_t landing_object(const struct landing *landing)
{
	return landing->object;
}

void *landing_owner(const struct landing *landing)
{
	return landing->owner;
}

uint64_t landing_pages(const struct landing *landing)
{
	return landing->nr_slots;
}

/* ---- addresses ----------------------------------------------------------------- */

/* The first run that ends after vaddr; the number of runs if none does. */
static size_t find_run(const struct landing *landing, uint64_t vaddr)
{
	const struct run *runs = landing->runs;

	return bisect(landing->nr_runs, i, runs[i].vaddr + runs[i].nr_pages * WIRE_PAGE > vaddr);
}

/* Slots of the part of run i inside [start, end). False: there is none. */
static bool cut_run(const struct landing *landing, size_t i, uint64_t start, uint64_t end,
		    uint64_t *first, uint64_t *last, uint64_t *vaddr)
{
	const struct run *run = &landing->runs[i];
	uint64_t run_end = run->vaddr + run->nr_pages * WIRE_PAGE;

	if (i >= landing->nr_runs || run->vaddr >= end || run_end <= start)
		return false;
	*vaddr = run->vaddr > start ? run->vaddr : start;
	*first = run->first + (*vaddr - run->vaddr) / WIRE_PAGE;
	*last = run->first + ((run_end < end ? run_end : end) - run->vaddr) / WIRE_PAGE;
	return true;
}

/* ---- receivers ------------------------------------------------------------------ */

enum { STORE_ADOPTED = LANDING_STORE_GONE + 1 };

static bool store_one(struct landing *landing, uint64_t slot, int what, const uint8_t *bytes,
		      struct landing_slots *out)
{
	if (set_bit(landing->claimed, slot))
		return false;
	switch (what) {
	case LANDING_STORE_BYTES:
		memcpy(landing->base + slot * WIRE_PAGE, bytes, WIRE_PAGE);
		out->bytes += WIRE_PAGE;
		break;
	case STORE_ADOPTED:
		landing->adopted[slot] = bytes;
		out->bytes += WIRE_PAGE;
		break;
	case LANDING_STORE_ZEROS:
		set_bit(landing->zero, slot);
		break;
	case LANDING_STORE_GONE:
		set_bit(landing->gone, slot);
		break;
	}
	set_bit(landing->present, slot);
	if (!out->count)
		out->first = slot;
	out->count = slot + 1 - out->first;
	return true;
}

/* How many pages were new. */
static uint64_t store(struct landing *landing, uint64_t vaddr, uint64_t nr_pages, int what,
		      const void *bytes, struct landing_slots *out)
{
	uint64_t end = vaddr + nr_pages * WIRE_PAGE, first, last, at, stored = 0;

	*out = (struct landing_slots){ 0 };
	for (size_t i = find_run(landing, vaddr);
	     cut_run(landing, i, vaddr, end, &first, &last, &at); i++) {
		const uint8_t *from = bytes ? (const uint8_t *)bytes + (at - vaddr) : NULL;

		for (uint64_t slot = first; slot < last; slot++) {
			stored += store_one(landing, slot, what, from, out);
			if (from)
				from += WIRE_PAGE;
		}
	}
	return stored;
}

void landing_store(struct landing *landing, uint64_t vaddr, uint64_t nr_pages,
		   enum landing_what what, const void *bytes, struct landing_slots *out)
{
	store(landing, vaddr, nr_pages, what, bytes, out);
}

void landing_adopt(struct landing *landing, uint64_t vaddr, uint64_t nr_pages, struct arena *arena,
		   const uint8_t *bytes, struct landing_slots *out)
{
	uint64_t stored;

	landing->arena = arena;
	stored = store(landing, vaddr, nr_pages, STORE_ADOPTED, bytes, out);
	if (stored < nr_pages)
		arena_put(arena, bytes, nr_pages - stored);
}

/* ---- the engine ------------------------------------------------------------------ */

static enum landing_state state_of(const struct landing *landing, uint64_t slot)
{
	if (!has_bit(landing->present, slot))
		return LANDING_ABSENT;
	if (has_bit(landing->gone, slot))
		return LANDING_GONE;
	return has_bit(landing->zero, slot) ? LANDING_ZEROS : LANDING_BYTES;
}

static const uint8_t *bytes_of(const struct landing *landing, uint64_t slot)
{
	const uint8_t *adopted = landing->adopted[slot];

	return adopted ? adopted : landing->base + slot * WIRE_PAGE;
}

enum landing_state landing_look(const struct landing *landing, uint64_t vaddr, uint64_t len,
				uint64_t *avail, const void **bytes)
{
	size_t i = find_run(landing, vaddr);
	enum landing_state state;
	uint64_t first, last, at, slot;

	*avail = len;
	if (!cut_run(landing, i, vaddr, vaddr + len, &first, &last, &at))
		return LANDING_HOLE;
	if (at > vaddr) {
		*avail = at - vaddr;
		return LANDING_HOLE;
	}
	state = state_of(landing, first);
	*bytes = bytes_of(landing, first);
	for (slot = first + 1; slot < last && state_of(landing, slot) == state; slot++) {
		if (state == LANDING_BYTES &&
		    bytes_of(landing, slot) != (const uint8_t *)*bytes + (slot - first) * WIRE_PAGE)
			break;
	}
	*avail = (slot - first) * WIRE_PAGE;
	return state;
}

bool landing_next_run(const struct landing *landing, struct landing_slots *slots,
		      struct landing_run *run)
{
	const struct run *from;
	uint64_t skip;

	if (!slots->count || slots->first >= landing->nr_slots)
		return false;
	/* The last run that starts at the slot or before; the first starts at 0. */
	from = &landing->runs[bisect(landing->nr_runs, i, landing->runs[i].first > slots->first) -
			      1];
	skip = slots->first - from->first;
	run->vaddr = from->vaddr + skip * WIRE_PAGE;
	run->nr_pages = from->nr_pages - skip;
	if (run->nr_pages > slots->count)
		run->nr_pages = slots->count;
	slots->first += run->nr_pages;
	slots->count -= run->nr_pages;
	return true;
}

/* Pages [from, to) that are all adopted, or all not, and present no more. */
static void give_back(struct landing *landing, uint64_t from, uint64_t to)
{
	if (!landing->adopted[from]) {
		madvise(landing->base + from * WIRE_PAGE, (to - from) * WIRE_PAGE, MADV_DONTNEED);
		return;
	}
	for (uint64_t slot = from; slot < to; slot++) {
		arena_put(landing->arena, landing->adopted[slot], 1);
		landing->adopted[slot] = NULL;
	}
}

/* Only slots that are whole: one that is claimed and not present yet is being written. */
static uint64_t release_slots(struct landing *landing, uint64_t first, uint64_t last)
{
	uint64_t bytes = 0;

	for (uint64_t slot = first; slot < last; slot++) {
		bool is_adopted = landing->adopted[slot];
		uint64_t from = slot;

		while (slot < last && state_of(landing, slot) == LANDING_BYTES &&
		       !landing->adopted[slot] == !is_adopted)
			clear_bit(landing->present, slot++);
		if (slot == from)
			continue;
		give_back(landing, from, slot);
		bytes += (slot - from) * WIRE_PAGE;
		slot--;
	}
	return bytes;
}

uint64_t landing_release(struct landing *landing, uint64_t vaddr, uint64_t len)
{
	uint64_t first, last, at, bytes = 0;

	for (size_t i = find_run(landing, vaddr);
	     cut_run(landing, i, vaddr, vaddr + len, &first, &last, &at); i++)
		bytes += release_slots(landing, first, last);
	return bytes;
}

uint64_t landing_release_slots(struct landing *landing, const struct landing_slots *slots)
{
	return release_slots(landing, slots->first, slots->first + slots->count);
}

void landing_lose_rest(struct landing *landing)
{
	struct landing_slots slots = { 0 };

	for (uint64_t slot = 0; slot < landing->nr_slots; slot++)
		store_one(landing, slot, LANDING_STORE_GONE, NULL, &slots);
}

bool landing_ask(struct landing *landing, uint64_t vaddr, uint64_t len, uint64_t max,
		 struct landing_run *run)
{
	uint64_t first, last, at;

	for (size_t i = find_run(landing, vaddr);
	     cut_run(landing, i, vaddr, vaddr + len, &first, &last, &at); i++) {
		uint64_t slot = first, from;

		while (slot < last && (is_asked(landing, slot) || has_bit(landing->claimed, slot)))
			slot++;
		if (slot == last)
			continue;
		for (from = slot; slot < last && slot - from < max && !is_asked(landing, slot) &&
				  !has_bit(landing->claimed, slot);
		     slot++)
			landing->asked[slot / BITS] |= 1ull << slot % BITS;
		run->vaddr = at + (from - first) * WIRE_PAGE;
		run->nr_pages = slot - from;
		return true;
	}
	return false;
}

void landing_unask(struct landing *landing, uint64_t vaddr, uint64_t nr_pages)
{
	uint64_t first, last, at;

	for (size_t i = find_run(landing, vaddr);
	     cut_run(landing, i, vaddr, vaddr + nr_pages * WIRE_PAGE, &first, &last, &at); i++) {
		for (uint64_t slot = first; slot < last; slot++)
			landing->asked[slot / BITS] &= ~(1ull << slot % BITS);
	}
}

void landing_unask_all(struct landing *landing)
{
	memset(landing->asked, 0, (landing->nr_slots / BITS + 1) * sizeof(*landing->asked));
}
