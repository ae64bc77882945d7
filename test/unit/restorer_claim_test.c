// SPDX-License-Identifier: GPL-2.0
/* Pieces of memory shared out from both ends: each goes to exactly one. */
#include <pthread.h>
#include <stdlib.h>

#include "blob/restorer_args.h"
#include "unit.h"

enum { COUNT = 100000 };

struct side {
	uint64_t *claimed;
	uint32_t *taken;
	int from_end;
};

static void *take_all(void *arg)
{
	struct side *side = arg;
	uint32_t at;

	while (restorer_claim(side->claimed, COUNT, side->from_end, &at))
		__atomic_fetch_add(&side->taken[at], 1, __ATOMIC_SEQ_CST);
	return NULL;
}

int main(void)
{
	uint64_t claimed = 0;
	uint32_t *taken = calloc(COUNT, sizeof(*taken)), at = 7;
	struct side sides[] = { { &claimed, taken, 0 }, { &claimed, taken, 1 } };
	pthread_t other;

	check_eq(restorer_claim(&claimed, 0, 0, &at), 0);
	check_eq(restorer_claim(&claimed, 3, 0, &at), 1);
	check_eq(at, 0);
	check_eq(restorer_claim(&claimed, 3, 1, &at), 1);
	check_eq(at, 2);
	check_eq(restorer_claim(&claimed, 3, 1, &at), 1);
	check_eq(at, 1);
	check_eq(restorer_claim(&claimed, 3, 0, &at), 0);
	check_eq(restorer_claim(&claimed, 3, 1, &at), 0);

	claimed = 0;
	check(!pthread_create(&other, NULL, take_all, &sides[1]));
	take_all(&sides[0]);
	pthread_join(other, NULL);
	for (size_t i = 0; i < COUNT; i++)
		check_eq(taken[i], 1);
	free(taken);
	return 0;
}
