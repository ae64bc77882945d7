/* SPDX-License-Identifier: GPL-2.0 */
/* Where in an address space nothing is. Pure. */
#ifndef RESTORE_HOLE_H
#define RESTORE_HOLE_H

#include <stddef.h>
#include <stdint.h>

struct hole_area {
	uint64_t start, end;
};

/*
 * The lowest page-aligned address in [min, max - size] such that [address, address + size) touches
 * none of the areas. Sorts areas (they may overlap each other). 0: there is none.
 */
uint64_t hole_find(struct hole_area *areas, size_t count, uint64_t size, uint64_t min,
		   uint64_t max);

#endif
