// SPDX-License-Identifier: GPL-2.0
/* Blocks of pages that are used again. */
#include <string.h>

#include "transport/arena.h"
#include "transport/wire.h"
#include "unit.h"

#define PAGES (ARENA_BLOCK / WIRE_PAGE)

static void test_side_by_side(void)
{
	struct arena_cursor cursor = { 0 };
	struct arena *arena;
	uint8_t *first, *second;

	check_eq(arena_new(2, &arena), 0);
	first = arena_reserve(arena, &cursor, 3 * WIRE_PAGE);
	check(first);
	check(arena_reserve(arena, &cursor, WIRE_PAGE) == first); /* nothing was kept */
	arena_keep(arena, &cursor, 2);
	second = arena_reserve(arena, &cursor, WIRE_PAGE);
	check(second == first + 2 * WIRE_PAGE);
	memset(second, 1, WIRE_PAGE);
	arena_keep(arena, &cursor, 1);
	/* Too long for the rest of this block. */
	check(arena_reserve(arena, &cursor, ARENA_BLOCK) == first + ARENA_BLOCK);
	arena_free(arena);
}

static void test_again_when_put(void)
{
	struct arena_cursor cursor = { 0 };
	struct arena *arena;
	uint8_t *first, *second;

	check_eq(arena_new(2, &arena), 0);
	first = arena_reserve(arena, &cursor, ARENA_BLOCK);
	arena_keep(arena, &cursor, PAGES);
	second = arena_reserve(arena, &cursor, ARENA_BLOCK);
	check(second && second != first);
	arena_keep(arena, &cursor, PAGES);
	check_eq(arena_free_blocks(arena), 0);
	check(!arena_reserve(arena, &cursor, WIRE_PAGE));
	arena_put(arena, first + 5 * WIRE_PAGE, 1);
	arena_put(arena, first, PAGES - 2);
	check(!arena_reserve(arena, &cursor, WIRE_PAGE));
	arena_put(arena, first + ARENA_BLOCK - WIRE_PAGE, 1);
	check_eq(arena_free_blocks(arena), 1);
	check(arena_reserve(arena, &cursor, WIRE_PAGE) == first);
	arena_free(arena);
}

static void test_own_block_is_not_given_out_twice(void)
{
	struct arena_cursor cursor = { 0 };
	struct arena *arena;
	uint8_t *first, *second;

	check_eq(arena_new(1, &arena), 0);
	first = arena_reserve(arena, &cursor, WIRE_PAGE);
	arena_keep(arena, &cursor, 1);
	arena_put(arena, first, 1); /* delivered while the next one is received */
	second = arena_reserve(arena, &cursor, WIRE_PAGE);
	check(second == first + WIRE_PAGE);
	check_eq(arena_free_blocks(arena), 0);
	/* Its last user gone, the block begins again. */
	check(arena_reserve(arena, &cursor, ARENA_BLOCK) == first);
	arena_free(arena);
}

static void test_two_cursors(void)
{
	struct arena_cursor cursor = { 0 }, other = { 0 };
	struct arena *arena;
	uint8_t *first, *second;

	check_eq(arena_new(2, &arena), 0);
	first = arena_reserve(arena, &cursor, WIRE_PAGE);
	second = arena_reserve(arena, &other, WIRE_PAGE);
	check(first && second && first != second);
	check_eq(arena_free_blocks(arena), 0);
	arena_keep(arena, &other, 1);
	check(!arena_reserve(arena, &other, ARENA_BLOCK));
	check(arena_reserve(arena, &cursor, ARENA_BLOCK) == first);
	arena_put(arena, second, 1);
	check(arena_reserve(arena, &other, WIRE_PAGE) == second);
	arena_free(arena);
}

int main(void)
{
	test_two_cursors();
	test_side_by_side();
	test_again_when_put();
	test_own_block_is_not_given_out_twice();
	return 0;
}
