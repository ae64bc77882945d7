// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include "kinds/order.h"
#include "unit.h"

enum { MANY = 2000 };

static size_t order[MANY], position[MANY];

static void check_order(size_t count, const struct order_edge *edges, size_t nr_edges)
{
	memset(position, 0xff, sizeof(position));
	for (size_t i = 0; i < count; i++) {
		check(order[i] < count && position[order[i]] == (size_t)-1);
		position[order[i]] = i;
	}
	for (size_t i = 0; i < nr_edges; i++)
		check(position[edges[i].node] > position[edges[i].needs]);
}

static void test_small(void)
{
	struct order_edge edges[] = { { 0, 3 }, { 3, 1 }, { 2, 0 }, { 0, 3 } };
	struct order_edge itself = { 1, 1 }, absent = { 0, 7 };
	struct order_edge ring[] = { { 0, 1 }, { 1, 2 }, { 2, 0 } };
	size_t culprit = 9;

	check_eq(order_resolve(0, NULL, 0, order, NULL), 0);
	check_eq(order_resolve(4, NULL, 0, order, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		check_eq(order[i], i);
	check_eq(order_resolve(4, edges, 4, order, NULL), 0);
	check_order(4, edges, 4);
	check_eq(order_resolve(2, &itself, 1, order, &culprit), -ELOOP);
	check_eq(culprit, 1);
	check_eq(order_resolve(2, &absent, 1, order, NULL), -EINVAL);
	check_eq(order_resolve(3, ring, 3, order, &culprit), -ELOOP);
	check(culprit < 3);
}

/* A long chain (no recursion) and graphs without cycles made by chance. */
static void test_large(void)
{
	static struct order_edge edges[4 * MANY];
	unsigned int random = 1;

	for (size_t i = 0; i + 1 < MANY; i++)
		edges[i] = (struct order_edge){ i, i + 1 };
	check_eq(order_resolve(MANY, edges, MANY - 1, order, NULL), 0);
	check_order(MANY, edges, MANY - 1);
	for (int round = 0; round < 50; round++) {
		size_t nr_edges = 0;

		for (size_t i = 0; i < 4 * MANY; i++) {
			size_t a, b;

			random = random * 1103515245 + 12345;
			a = (random >> 8) % MANY;
			random = random * 1103515245 + 12345;
			b = (random >> 8) % MANY;
			if (a != b)
				edges[nr_edges++] =
					(struct order_edge){ a > b ? a : b, a > b ? b : a };
		}
		check_eq(order_resolve(MANY, edges, nr_edges, order, NULL), 0);
		check_order(MANY, edges, nr_edges);
	}
}

int main(void)
{
	test_small();
	test_large();
	return 0;
}
