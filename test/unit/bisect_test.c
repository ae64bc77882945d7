// SPDX-License-Identifier: GPL-2.0
#include "unit.h"
#include "util/bisect.h"

static void test_every_place(void)
{
	static const int sorted[] = { 2, 4, 4, 4, 8, 16 };

	for (int count = 0; count <= 6; count++) {
		for (int wanted = 0; wanted < 20; wanted++) {
			size_t expected = 0;

			while (expected < (size_t)count && sorted[expected] < wanted)
				expected++;
			check_eq(bisect((size_t)count, i, sorted[i] >= wanted), expected);
		}
	}
}

int main(void)
{
	test_every_place();
	return 0;
}
