// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "lazy/advice.h"
#include "unit.h"

static void add(struct advice_calls *calls, long number, uint64_t start, uint64_t len, int advice)
{
	char line[256];

	snprintf(line, sizeof(line), "%ld 0x%lx 0x%lx 0x%x 0x0 0x0 0x0 0x7ffc0 0x7f00\n", number,
		 start, len, advice);
	advice_parse(line, calls);
}

static void only_calls_that_remove_count(void)
{
	struct advice_calls calls = { 0 };

	advice_parse("running\n", &calls);
	advice_parse("-1 0x7ffc0 0x7f00\n", &calls);
	advice_parse("", &calls);
	add(&calls, SYS_write, 0x10000, 0x1000, MADV_REMOVE);
	add(&calls, SYS_madvise, 0x10000, 0x1000, MADV_WILLNEED);
	check(calls.count == 0 && !calls.has_others);
	add(&calls, SYS_mremap, 0x10000, 0x1000, MADV_REMOVE);
	check(calls.count == 0 && calls.has_others);
	add(&calls, SYS_madvise, 0x10000, 0x1001, MADV_REMOVE);
	check(calls.count == 1);
	check(advice_of(&calls, 0x10000, 0x12000) == MADV_REMOVE);
	check(advice_of(&calls, 0x11000, 0x12000) == MADV_REMOVE);
	check(advice_of(&calls, 0x11000, 0x13000) == -1);
	check(advice_of(&calls, 0xf000, 0x11000) == -1);
}

static void callers_may_disagree(void)
{
	struct advice_calls calls = { 0 };

	add(&calls, SYS_madvise, 0x10000, 0x4000, MADV_REMOVE);
	add(&calls, SYS_madvise, 0x12000, 0x4000, MADV_DONTNEED);
	check(advice_of(&calls, 0x10000, 0x12000) == MADV_REMOVE);
	check(advice_of(&calls, 0x14000, 0x16000) == MADV_DONTNEED);
	check(advice_of(&calls, 0x12000, 0x14000) == -1);
}

static void there_is_room_for_so_many(void)
{
	struct advice_calls calls = { 0 };

	for (int i = 0; i < 2 * ADVICE_CALLS_MAX; i++)
		add(&calls, SYS_madvise, 0x10000, 0x1000, MADV_FREE);
	check(calls.count == ADVICE_CALLS_MAX);
}

int main(void)
{
	only_calls_that_remove_count();
	callers_may_disagree();
	there_is_room_for_so_many();
	return 0;
}
