// SPDX-License-Identifier: GPL-2.0
/* Areas of which parts have never been touched are grown, moved, shrunk and cut at once. */
#include "victim.h"

#define MIB	(1ul << 20)
#define LEN	(4 * MIB)
#define PART	(64ul << 10)
#define RESERVE (1ul << 40)
#define FAR	(512ul << 30)
enum { AREAS = 4 };

static void require_zeros(const char *at, size_t len)
{
	for (size_t i = 0; i < len; i += 8)
		require(!*(const uint64_t *)(at + i), "a byte at %p is not zero", at + i);
}

/* Room for LEN between areas of another kind, so that the neighbours do not join it. */
static char *part_filled(size_t offset, uint64_t seed)
{
	char *at = victim_map(LEN + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);

	at += PAGE;
	require(!mprotect(at, LEN, PROT_READ | PROT_WRITE), "mprotect");
	victim_fill(at + offset, PART, seed);
	return at;
}

static void check_part(char *at, size_t len, size_t offset, uint64_t seed)
{
	require_zeros(at, offset);
	require_filled(at + offset, PART, seed);
	require_zeros(at + offset + PART, len - offset - PART);
}

static void check_moves(char **areas)
{
	const size_t offsets[AREAS] = { 0, MIB, LEN - PART, 2 * MIB };

	for (uint64_t i = 0; i < AREAS; i++) {
		char *at = mremap(areas[i], LEN, 2 * LEN, MREMAP_MAYMOVE);

		require(at != MAP_FAILED, "grow area %d", (int)i);
		check_part(at, 2 * LEN, offsets[i], i + 1);
		victim_fill(at + LEN, LEN, i + 100);
		require(mremap(at, 2 * LEN, LEN, 0) == at, "shrink area %d", (int)i);
		at = mremap(at, LEN, LEN + MIB, MREMAP_MAYMOVE);
		require(at != MAP_FAILED, "grow area %d again", (int)i);
		check_part(at, LEN + MIB, offsets[i], i + 1);
	}
}

static void check_cut(char *at)
{
	char *moved;

	require(!munmap(at + 2 * MIB, MIB), "munmap");
	moved = mremap(at + 3 * MIB, MIB, 3 * MIB, MREMAP_MAYMOVE);
	require(moved != MAP_FAILED, "grow what is behind the cut");
	require_zeros(moved, 3 * MIB);
	moved = mremap(at, 2 * MIB, 8 * MIB, MREMAP_MAYMOVE);
	require(moved != MAP_FAILED, "grow what is before the cut");
	check_part(moved, 8 * MIB, MIB, 20);
}

/* A reservation far larger than memory, with something at two places of it. */
static void check_reserve(char *at)
{
	require_filled(at, PART, 30);
	require_filled(at + FAR, PART, 31);
	require_zeros(at + FAR / 2, LEN);
	victim_fill(at + FAR / 2 + LEN, LEN, 32);
	require_filled(at + FAR / 2 + LEN, LEN, 32);
	at = mremap(at, RESERVE, RESERVE + RESERVE / 2, MREMAP_MAYMOVE);
	require(at != MAP_FAILED, "grow the reservation");
	require_filled(at, PART, 30);
	require_filled(at + FAR / 2 + LEN, LEN, 32);
	require_filled(at + FAR, PART, 31);
	require_zeros(at + RESERVE, LEN);
}

int main(int argc, char **argv)
{
	char *areas[AREAS], *cut, *reserve, *owed, *heap, *grown;
	size_t heap_len = 3 * MIB;

	victim_begin(argc, argv);
	areas[0] = part_filled(0, 1);
	areas[1] = part_filled(MIB, 2);
	areas[2] = part_filled(LEN - PART, 3);
	areas[3] = part_filled(2 * MIB, 4);
	cut = part_filled(MIB, 20);
	reserve = victim_map(RESERVE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE);
	victim_fill(reserve, PART, 30);
	victim_fill(reserve + FAR, PART, 31);
	heap = malloc(heap_len);
	require(heap, "malloc");
	victim_fill(heap, PART, 40);
	/* So that the rest is not there at once. */
	owed = victim_map(48 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	victim_fill(owed, 48 * MIB, 50);

	victim_ready();

	check_moves(areas);
	check_cut(cut);
	grown = realloc(heap, 4 * heap_len);
	require(grown, "realloc");
	require_filled(grown, PART, 40);
	check_reserve(reserve);
	require_filled(owed, 48 * MIB, 50);
	victim_pass();
}
