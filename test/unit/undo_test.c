// SPDX-License-Identifier: GPL-2.0
#include "unit.h"
#include "util/undo.h"

static int order[3], count;

static void note(void *arg, bool failed)
{
	check(failed);
	order[count++] = *(int *)arg;
}

int main(void)
{
	struct undo undo = { 0 };
	int values[] = { 1, 2, 3 };

	for (int i = 0; i < 3; i++)
		check_eq(undo_push(&undo, note, &values[i]), 0);
	undo_run(&undo, true);
	check_eq(count, 3);
	check(order[0] == 3 && order[1] == 2 && order[2] == 1);
	undo_run(&undo, true);
	check_eq(count, 3);
	return 0;
}
