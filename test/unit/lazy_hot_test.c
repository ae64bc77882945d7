// SPDX-License-Identifier: GPL-2.0
#include "lazy/hot.h"
#include "unit.h"

static void a_region_becomes_hot_once(void)
{
	struct hot hot = { 0 };

	for (int i = 1; i < HOT_FAULTS; i++)
		check(!hot_fault(&hot, 7, 0x1000 * (uint64_t)i));
	check(hot_fault(&hot, 7, HOT_REGION - 1));
	for (int i = 0; i < 300; i++)
		check(!hot_fault(&hot, 7, 0x2000));
	hot_fini(&hot);
}

static void regions_and_objects_are_apart(void)
{
	struct hot hot = { 0 };

	for (int i = 1; i < HOT_FAULTS; i++) {
		check(!hot_fault(&hot, 1, 0));
		check(!hot_fault(&hot, 2, 0));
		check(!hot_fault(&hot, 1, HOT_REGION));
	}
	check(hot_fault(&hot, 1, 0));
	check(hot_fault(&hot, 2, 0));
	check(hot_fault(&hot, 1, HOT_REGION));
	hot_fini(&hot);
}

static void many_regions_are_kept(void)
{
	struct hot hot = { 0 };
	size_t nr_hot = 0;

	for (int round = 0; round < HOT_FAULTS; round++) {
		for (uint64_t i = 0; i < 5000; i++)
			nr_hot += hot_fault(&hot, 1 + i % 3, i * HOT_REGION);
		check(hot.count == 5000);
	}
	check(nr_hot == 5000);
	hot_fini(&hot);
}

int main(void)
{
	a_region_becomes_hot_once();
	regions_and_objects_are_apart();
	many_regions_are_kept();
	return 0;
}
