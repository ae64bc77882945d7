// SPDX-License-Identifier: GPL-2.0
/* The landing store: claims, runs with holes, release, what is asked for. */
#include <string.h>

#include "transport/arena.h"
#include "transport/landing.h"
#include "transport/wire.h"
#include "unit.h"

#define P WIRE_PAGE

static struct landing *make(void)
{
	/* Slots 0-3 and 4-5, a hole between. */
	static const struct landing_run runs[] = { { 0x10000, 4 }, { 0x20000, 2 } };
	struct landing *landing;

	check_eq(landing_new(wire_object(WIRE_TASK, 7), runs, 2, NULL, &landing), 0);
	check_eq(landing_pages(landing), 6);
	return landing;
}

static void test_hostile_runs(void)
{
	const struct landing_run overlap[] = { { 0x10000, 2 }, { 0x11000, 1 } };
	const struct landing_run empty[] = { { 0x10000, 0 } };
	const struct landing_run crooked[] = { { 0x10001, 1 } };
	const struct landing_run endless[] = { { 0x10000, UINT64_MAX } };
	struct landing *landing;

	check(landing_new(1, overlap, 2, NULL, &landing) < 0);
	check(landing_new(1, empty, 1, NULL, &landing) < 0);
	check(landing_new(1, crooked, 1, NULL, &landing) < 0);
	check(landing_new(1, endless, 1, NULL, &landing) < 0);
}

static void test_store_once(void)
{
	struct landing *landing = make();
	struct landing_slots slots;
	static uint8_t bytes[16 * P], other[16 * P];
	const void *found;
	uint64_t avail;

	memset(bytes, 1, sizeof(bytes));
	memset(other, 2, sizeof(other));
	check_eq(landing_look(landing, 0x10000, P, &avail, &found), LANDING_ABSENT);
	landing_store(landing, 0x11000, 2, LANDING_STORE_BYTES, bytes, &slots);
	check_eq(slots.first, 1);
	check_eq(slots.count, 2);
	check_eq(slots.bytes, 2 * P);
	/* Again, with other bytes: dropped. */
	landing_store(landing, 0x11000, 2, LANDING_STORE_BYTES, other, &slots);
	check_eq(slots.count, 0);
	check_eq(landing_look(landing, 0x11000, 8 * P, &avail, &found), LANDING_BYTES);
	check_eq(avail, 2 * P);
	check(!memcmp(found, bytes, 2 * P));
	/* More than there is: only what is ours, hole and all. */
	landing_store(landing, 0xf000, 4, LANDING_STORE_BYTES, bytes, &slots);
	check_eq(slots.first, 0);
	landing_store(landing, 0x400000, 4, LANDING_STORE_BYTES, bytes, &slots);
	check_eq(slots.count, 0);
	landing_store(landing, 0x20000, 1, LANDING_STORE_ZEROS, NULL, &slots);
	check_eq(slots.bytes, 0);
	check_eq(landing_look(landing, 0x20000, 2 * P, &avail, &found), LANDING_ZEROS);
	check_eq(avail, P);
	check_eq(landing_look(landing, 0x14000, 0x10000, &avail, &found), LANDING_HOLE);
	check_eq(avail, 0xc000);
	landing_free(landing);
}

static void test_slots_to_runs(void)
{
	struct landing *landing = make();
	struct landing_slots slots = { .first = 2, .count = 4 };
	struct landing_run run;

	check(landing_next_run(landing, &slots, &run));
	check_eq(run.vaddr, 0x12000);
	check_eq(run.nr_pages, 2);
	check(landing_next_run(landing, &slots, &run));
	check_eq(run.vaddr, 0x20000);
	check_eq(run.nr_pages, 2);
	check(!landing_next_run(landing, &slots, &run));
	landing_free(landing);
}

static void test_release(void)
{
	struct landing *landing = make();
	struct landing_slots slots;
	static uint8_t bytes[6 * P];
	const void *found;
	uint64_t avail;

	landing_store(landing, 0x10000, 4, LANDING_STORE_BYTES, bytes, &slots);
	check_eq(landing_release(landing, 0x11000, P), P);
	check_eq(landing_look(landing, 0x11000, P, &avail, &found), LANDING_ABSENT);
	check_eq(landing_release(landing, 0x11000, P), 0);
	/* It never comes back: nobody owes it. */
	landing_store(landing, 0x11000, 1, LANDING_STORE_BYTES, bytes, &slots);
	check_eq(slots.count, 0);
	slots = (struct landing_slots){ .first = 0, .count = 6 };
	check_eq(landing_release_slots(landing, &slots), 3 * P);
	landing_free(landing);
}

static void test_ask(void)
{
	struct landing *landing = make();
	struct landing_slots slots;
	struct landing_run run;
	static uint8_t bytes[P];

	landing_store(landing, 0x11000, 1, LANDING_STORE_BYTES, bytes, &slots);
	check(landing_ask(landing, 0, 0x100000, 64, &run));
	check_eq(run.vaddr, 0x10000);
	check_eq(run.nr_pages, 1);
	check(landing_ask(landing, 0, 0x100000, 1, &run));
	check_eq(run.vaddr, 0x12000);
	check_eq(run.nr_pages, 1);
	check(landing_ask(landing, 0x13000, 0x100000, 64, &run));
	check_eq(run.vaddr, 0x13000);
	check(landing_ask(landing, 0, 0x100000, 64, &run));
	check_eq(run.vaddr, 0x20000);
	check_eq(run.nr_pages, 2);
	check(!landing_ask(landing, 0, 0x100000, 64, &run));
	landing_unask(landing, 0x20000, 1);
	check(landing_ask(landing, 0, 0x100000, 64, &run));
	check_eq(run.vaddr, 0x20000);
	check_eq(run.nr_pages, 1);
	landing_unask_all(landing);
	check(landing_ask(landing, 0, 0x100000, 64, &run));
	check_eq(run.vaddr, 0x10000);
	landing_free(landing);
}

static void test_lose(void)
{
	struct landing *landing = make();
	struct landing_slots slots;
	static uint8_t bytes[P];
	const void *found;
	uint64_t avail;

	landing_store(landing, 0x10000, 1, LANDING_STORE_BYTES, bytes, &slots);
	landing_lose_rest(landing);
	check_eq(landing_look(landing, 0x10000, 4 * P, &avail, &found), LANDING_BYTES);
	check_eq(avail, P);
	check_eq(landing_look(landing, 0x11000, 3 * P, &avail, &found), LANDING_GONE);
	check_eq(avail, 3 * P);
	landing_free(landing);
}

static void test_adopt(void)
{
	struct landing *landing = make();
	struct landing_slots slots;
	struct arena_cursor cursor = { 0 };
	struct arena *arena;
	static uint8_t bytes[P];
	const void *found;
	uint64_t avail;
	uint8_t *room;

	check_eq(arena_new(1, &arena), 0);
	landing_store(landing, 0x11000, 1, LANDING_STORE_BYTES, bytes, &slots);
	room = arena_reserve(arena, &cursor, 8 * P);
	memset(room, 3, 8 * P);
	arena_keep(arena, &cursor, 8);
	/* One page came before, four are not ours. */
	landing_adopt(landing, 0x10000, 8, arena, room, &slots);
	check_eq(slots.first, 0);
	check_eq(slots.count, 4);
	check_eq(slots.bytes, 3 * P);
	check_eq(landing_look(landing, 0x10000, 4 * P, &avail, &found), LANDING_BYTES);
	check_eq(avail, P);
	check(found == room);
	check_eq(landing_look(landing, 0x11000, 4 * P, &avail, &found), LANDING_BYTES);
	check_eq(avail, P);
	check(found != room + P);
	check_eq(landing_look(landing, 0x12000, 4 * P, &avail, &found), LANDING_BYTES);
	check_eq(avail, 2 * P);
	check(found == room + 2 * P);
	check(!arena_reserve(arena, &cursor, ARENA_BLOCK));
	check_eq(landing_release(landing, 0x12000, 2 * P), 2 * P);
	check(!arena_reserve(arena, &cursor, ARENA_BLOCK));
	check_eq(landing_release(landing, 0x10000, 2 * P), 2 * P);
	check(arena_reserve(arena, &cursor, ARENA_BLOCK) == room);
	landing_free(landing);
	arena_free(arena);
}

int main(void)
{
	test_adopt();
	test_hostile_runs();
	test_store_once();
	test_slots_to_runs();
	test_release();
	test_ask();
	test_lose();
	return 0;
}
