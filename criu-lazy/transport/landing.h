/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where pages from a source land before the daemon's engine delivers them: one store per object (a
 * task's pagemap, a shared segment) that has pages elsewhere.
 *
 *   runs of addresses --> slots, side by side     per slot: claimed, present, zero, gone, asked
 *
 * A slot's page is memory of ours, where neighbours in the image, with whatever holes between them,
 * are neighbours, or it stays in the arena it was received into. Two receivers may bring the same
 * page (pushed and asked for): who claims the slot first writes it, and marks it present when it is
 * whole, so a present page never changes again until the engine releases it. A released slot stays
 * claimed: the engine releases what nobody owes any more, and a late copy is then dropped.
 *
 * landing_store() is for any thread, everything else for the engine's.
 */
#ifndef TRANSPORT_LANDING_H
#define TRANSPORT_LANDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct landing;

/* Pages the source has: byte address (or offset in the segment), page aligned. */
struct landing_run {
	uint64_t vaddr;
	uint64_t nr_pages;
};

enum landing_state {
	LANDING_HOLE,	/* not one of the object's runs */
	LANDING_ABSENT, /* on its way, or still at the source */
	LANDING_BYTES,
	LANDING_ZEROS,
	LANDING_GONE, /* the source has lost it */
};

/* object: as in wire.h; runs: ascending, apart, copied. -ENOMEM, -EINVAL (not ascending). */
int landing_new(uint64_t object, const struct landing_run *runs, size_t count, void *owner,
		struct landing **out);
void landing_free(struct landing *landing);
uint64_t landing_object(const struct landing *landing);
void *landing_owner(const struct landing *landing);
uint64_t landing_pages(const struct landing *landing);

/* Pages first..first + count by slot. */
struct landing_slots {
	uint64_t first, count;
	uint64_t bytes; /* of memory that the store now holds for them */
};

enum landing_what { LANDING_STORE_BYTES, LANDING_STORE_ZEROS, LANDING_STORE_GONE };

/*
 * Pages that came: bytes (nr_pages * 4096 of them, LANDING_STORE_BYTES only) are copied; pages that
 * came before are dropped. Holes are skipped: a server may send a page more than asked for, never
 * use it. *out: what there is to look at now; count 0: nothing new.
 */
void landing_store(struct landing *landing, uint64_t vaddr, uint64_t nr_pages,
		   enum landing_what what, const void *bytes, struct landing_slots *out);

/*
 * The same of pages that lie in the arena already, kept there; those of them that are dropped or
 * released are put back. All calls for one landing name the same arena, which outlives its pages.
 */
void landing_adopt(struct landing *landing, uint64_t vaddr, uint64_t nr_pages, struct arena *arena,
		   const uint8_t *bytes, struct landing_slots *out);

/*
 * What is known of the page at vaddr; *avail: for how many bytes of [vaddr, vaddr + len) it holds
 * as well, side by side. *bytes: LANDING_BYTES, where they are.
 */
enum landing_state landing_look(const struct landing *landing, uint64_t vaddr, uint64_t len,
				uint64_t *avail, const void **bytes);
/* The addresses of slots, as one run; at most slots->count, which moves on. False: none left. */
bool landing_next_run(const struct landing *landing, struct landing_slots *slots,
		      struct landing_run *run);
/* Nobody needs these pages any more. How many bytes of memory are given back. */
uint64_t landing_release(struct landing *landing, uint64_t vaddr, uint64_t len);
uint64_t landing_release_slots(struct landing *landing, const struct landing_slots *slots);
/* What has not come never will: it is GONE. */
void landing_lose_rest(struct landing *landing);

/*
 * Pages to ask the source for: of [vaddr, vaddr + len) the first run that is absent and not asked
 * for yet, at most max pages; marks it as asked for. False: none.
 */
bool landing_ask(struct landing *landing, uint64_t vaddr, uint64_t len, uint64_t max,
		 struct landing_run *run);
/* No answer will come for these / for any of what was asked for. */
void landing_unask(struct landing *landing, uint64_t vaddr, uint64_t nr_pages);
void landing_unask_all(struct landing *landing);

#endif
