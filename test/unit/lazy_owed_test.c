// SPDX-License-Identifier: GPL-2.0
/* The owed-range store against a model: an array of pages, each saying what it holds. */
#include <string.h>
#include <time.h>

#include "lazy/owed.h"
#include "unit.h"

enum { PAGES = 256, STEPS = 4000, ROUNDS = 30 };
#define PAGE 4096ull

struct model_page {
	bool registered, owed, dontfork, wipe;
	int image;
};

static struct model_page pages[PAGES], child_pages[PAGES];
static uint32_t seed;

static uint32_t roll(uint32_t limit)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % limit;
}

static void compare(struct owed *owed, const struct model_page *model)
{
	uint64_t count = 0;

	for (int i = 0; i < PAGES; i++) {
		struct owed_area *area = owed_find(owed, (uint64_t)i * PAGE);

		check_eq(!!area, model[i].registered);
		if (!area)
			continue;
		check_eq(owed_is_owed(area, (uint64_t)i * PAGE), model[i].owed);
		count += model[i].owed;
		if (model[i].owed) {
			uint64_t image = area->image + ((uint64_t)i * PAGE - area->start);

			check_eq(image / PAGE, model[i].image);
		}
	}
	check_eq(owed_count(owed), count);
	check_eq(owed_is_empty(owed), !count);
}

/* All runs, walked as the background fill walks them, are exactly the owed pages. */
static void compare_runs(struct owed *owed, const struct model_page *model)
{
	bool seen[PAGES] = { false };
	struct owed_area *area;

	owed_for_each(area, owed)
	{
		struct owed_run run = { .end = area->start };

		while (owed_area_run(area, run.end, (1 + roll(8)) * PAGE, &run)) {
			check(run.start >= area->start && run.end <= area->end);
			check(run.start < run.end && run.end - run.start <= 8 * PAGE);
			for (uint64_t at = run.start; at < run.end; at += PAGE) {
				check(!seen[at / PAGE]);
				seen[at / PAGE] = true;
				check_eq(model[at / PAGE].image,
					 (run.image + at - run.start) / PAGE);
			}
		}
	}
	for (int i = 0; i < PAGES; i++)
		check_eq(seen[i], model[i].registered && model[i].owed);
}

static struct owed_bits *new_bits(uint64_t base, uint64_t len)
{
	const struct owed_shape shape = { .base = base, .len = len, .page_size = PAGE };

	return owed_bits_new(&shape);
}

static void add(struct owed *owed, int first, int nr, int image)
{
	struct owed_bits *bits = new_bits((uint64_t)image * PAGE, (uint64_t)nr * PAGE);
	struct owed_area area = {
		.start = first * PAGE,
		.end = (first + nr) * PAGE,
		.image = (uint64_t)image * PAGE,
		.page_size = PAGE,
		.kind = LAZY_RANGE_ANON,
		.flags =
			(roll(4) ? 0 : LAZY_RANGE_DONTFORK) | (roll(4) ? 0 : LAZY_RANGE_WIPEONFORK),
		.bits = bits,
	};

	for (int i = 0; i < nr; i++) {
		bool is_owed = roll(3);

		if (is_owed)
			owed_bits_set(bits, (uint64_t)(image + i) * PAGE, PAGE);
		pages[first + i] = (struct model_page){
			.registered = true,
			.owed = is_owed,
			.image = image + i,
			.dontfork = area.flags & LAZY_RANGE_DONTFORK,
			.wipe = area.flags & LAZY_RANGE_WIPEONFORK,
		};
	}
	check_eq(owed_add(owed, &area), 0);
	owed_bits_put(bits);
}

static void remap(struct owed *owed, int from, int to, int nr)
{
	struct model_page moved[PAGES];

	if (from < to + nr && to < from + nr)
		return;
	check_eq(owed_remap(owed, from * PAGE, to * PAGE, nr * PAGE), 0);
	memcpy(moved, &pages[from], nr * sizeof(moved[0]));
	memcpy(&pages[to], moved, nr * sizeof(moved[0]));
	for (int i = from; i < from + nr; i++)
		pages[i].owed = false;
}

static void fork_and_compare(struct owed *owed)
{
	struct owed child;

	owed_init(&child);
	check_eq(owed_fork(owed, &child), 0);
	for (int i = 0; i < PAGES; i++) {
		child_pages[i] = pages[i];
		if (pages[i].dontfork)
			child_pages[i] = (struct model_page){ 0 };
		if (pages[i].wipe)
			child_pages[i].owed = false;
	}
	compare(&child, child_pages);
	/* What happens to the child does not happen to the parent. */
	check_eq(owed_unmap(&child, 0, PAGES * PAGE), 0);
	compare(owed, pages);
	owed_fini(&child);
}

static void step(struct owed *owed, int number)
{
	int first = (int)roll(PAGES), nr = 1 + (int)roll(roll(8) ? 8 : 64), to = (int)roll(PAGES);
	struct owed_area *area;

	if (first + nr > PAGES)
		nr = PAGES - first;
	if (to + nr > PAGES)
		to = PAGES - nr;
	switch (roll(8)) {
	case 0:
		check_eq(owed_unmap(owed, first * PAGE, (first + nr) * PAGE), 0);
		memset(&pages[first], 0, (size_t)nr * sizeof(pages[0]));
		break;
	case 1:
		owed_remove(owed, first * PAGE, (first + nr) * PAGE);
		for (int i = first; i < first + nr; i++)
			pages[i].owed = false;
		break;
	case 2:
	case 3:
		remap(owed, first, to, nr);
		break;
	case 4:
		add(owed, first, nr, 1000 + number * 64);
		break;
	case 5:
		fork_and_compare(owed);
		break;
	default:
		area = owed_find(owed, first * PAGE);
		if (area)
			owed_done(area, first * PAGE, (first + nr) * PAGE);
		for (int i = first; area && i < first + nr && i < (int)(area->end / PAGE); i++)
			pages[i].owed = false;
	}
}

static void random_walk(uint32_t start)
{
	struct owed owed;

	seed = start;
	memset(pages, 0, sizeof(pages));
	owed_init(&owed);
	add(&owed, 0, 100, 100);
	add(&owed, 120, 100, 500);
	for (int i = 0; i < STEPS; i++) {
		step(&owed, i);
		compare(&owed, pages);
		if (i % 16 == 0)
			compare_runs(&owed, pages);
	}
	owed_fini(&owed);
}

/* A segment mapped twice: one set of bits, and unmapping one mapping owes no less. */
static void shared_segment(void)
{
	struct owed_bits *bits = new_bits(0, 16 * PAGE);
	struct owed_area area = { .start = 0x100000,
				  .end = 0x110000,
				  .page_size = PAGE,
				  .kind = LAZY_RANGE_SHMEM,
				  .bits = bits };
	struct owed owed;

	owed_init(&owed);
	owed_bits_set(bits, 0, 16 * PAGE);
	check_eq(owed_add(&owed, &area), 0);
	area.start = 0x200000;
	area.end = 0x208000;
	area.image = 8 * PAGE;
	check_eq(owed_add(&owed, &area), 0);
	check_eq(owed_remove(&owed, 0x100000, 0x110000), 0);
	check_eq(owed_done(owed_find(&owed, 0x200000), 0x200000, 0x201000), 1);
	check(!owed_is_owed(owed_find(&owed, 0x108000), 0x108000));
	check(owed_is_owed(owed_find(&owed, 0x109000), 0x109000));
	check_eq(owed_unmap(&owed, 0x100000, 0x110000), 0);
	check_eq(bits->nr_owed, 15);
	owed_fini(&owed);
	check_eq(bits->refs, 1);
	owed_bits_put(bits);
}

/* Who maps a part that is there may map more of it any time, and so may its children. */
static void growing_mapping(void)
{
	struct owed_bits *bits = new_bits(0, 16 * PAGE);
	struct owed_area area = { .start = 0x100000,
				  .end = 0x101000,
				  .page_size = PAGE,
				  .kind = LAZY_RANGE_SHMEM,
				  .bits = bits };
	struct owed owed, child;

	owed_init(&owed);
	owed_init(&child);
	owed_bits_set(bits, 0, 2 * PAGE);
	check_eq(owed_add(&owed, &area), 0);
	check_eq(owed_done(owed_find(&owed, area.start), area.start, area.end), 1);
	check(!owed_has_any(&owed, 0, UINT64_MAX));
	check(!owed_is_empty(&owed));
	check_eq(owed_fork(&owed, &child), 0);
	check(!owed_is_empty(&child));
	owed_bits_clear(bits, PAGE, PAGE);
	check(owed_is_empty(&owed));
	check(owed_is_empty(&child));
	owed_fini(&owed);
	owed_fini(&child);
	owed_bits_put(bits);
}

/* A reservation: something at its start, and a gap without bits that moves and forks with it. */
static void large_gap(void)
{
	const uint64_t base = 1ull << 44, to = 1ull << 46, len = 20ull << 40, part = 16 * PAGE;
	struct owed_area area = { .start = base,
				  .end = base + part,
				  .image = base,
				  .page_size = PAGE,
				  .kind = LAZY_RANGE_ANON };
	struct owed owed, child;

	owed_init(&owed);
	owed_init(&child);
	area.bits = new_bits(base, part);
	owed_bits_set(area.bits, base + 3 * PAGE, PAGE);
	check_eq(owed_add(&owed, &area), 0);
	owed_bits_put(area.bits);
	area.bits = NULL;
	area.start = area.image = base + part;
	area.end = base + len;
	check_eq(owed_add(&owed, &area), 0);
	check_eq(owed_remap(&owed, base, to, len), 0);
	check_eq(owed_unmap(&owed, base, base + len), 0);
	check(owed_has_any(&owed, to, to + len));
	check(!owed_has_any(&owed, to, to + 3 * PAGE));
	check(!owed_has_any(&owed, to + 4 * PAGE, to + len));
	check(!owed_is_owed(owed_find(&owed, to + len - PAGE), to + len - PAGE));
	check_eq(owed_fork(&owed, &child), 0);
	check_eq(owed_unmap(&owed, to, to + part), 0);
	check(owed_is_empty(&owed));
	check_eq(owed.nr_areas, 1);
	check(owed_is_owed(owed_find(&child, to + 3 * PAGE), to + 3 * PAGE));
	check_eq(owed_count(&child), 1);
	check(owed_find(&child, to + len - PAGE) != NULL);
	owed_fini(&owed);
	owed_fini(&child);
}

static void many_single_pages(void)
{
	enum { RUNS = 65536 };
	struct owed_bits *bits = new_bits(0x10000000, RUNS * 2 * PAGE);
	struct owed_area area = { .start = 0x10000000,
				  .end = 0x10000000 + RUNS * 2 * PAGE,
				  .image = 0x10000000,
				  .page_size = PAGE,
				  .kind = LAZY_RANGE_ANON,
				  .bits = bits };
	struct owed_run run = { .end = area.start };
	struct timespec from, to;
	struct owed owed;
	int runs = 0;

	owed_init(&owed);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (uint64_t i = 0; i < RUNS; i++)
		owed_bits_set(bits, area.image + i * 2 * PAGE, PAGE);
	check_eq(owed_add(&owed, &area), 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	while (owed_area_run(owed_find(&owed, area.start), run.end, 65536, &run))
		runs++;
	check_eq(runs, RUNS);
	printf("65536 single pages loaded in %ld us\n",
	       (to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000);
	owed_fini(&owed);
	owed_bits_put(bits);
}

int main(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++)
		random_walk(i * 7919 + 1);
	shared_segment();
	growing_mapping();
	large_gap();
	many_single_pages();
	return 0;
}
