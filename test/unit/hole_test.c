// SPDX-License-Identifier: GPL-2.0
#include "restore/hole.h"
#include "unit.h"

int main(void)
{
	struct hole_area areas[] = {
		{ 0x9000, 0xa000 },
		{ 0x1000, 0x3000 },
		{ 0x2000, 0x4000 },
		{ 0x5000, 0x6000 },
	};

	check_eq(hole_find(NULL, 0, 0x1000, 0x1000, 0x10000), 0x1000);
	check_eq(hole_find(NULL, 0, 0x1000, 0x1000, 0x1800), 0);
	check_eq(hole_find(areas, 4, 0x1000, 0x1000, 0x10000), 0x4000);
	check_eq(hole_find(areas, 4, 0x2000, 0x1000, 0x10000), 0x6000);
	check_eq(hole_find(areas, 4, 0x4000, 0x1000, 0x10000), 0xa000);
	check_eq(hole_find(areas, 4, 0x7000, 0x1000, 0x10000), 0);
	/* the bound is exact, and min is rounded up */
	check_eq(hole_find(areas, 4, 0x6000, 0x1000, 0x10000), 0xa000);
	check_eq(hole_find(areas, 4, 0x1000, 0x6001, 0x10000), 0x7000);
	return 0;
}
