// SPDX-License-Identifier: GPL-2.0
#include "kinds/order.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "util/scope.h"

enum { NODE_NEW, NODE_OPEN, NODE_DONE };

struct walk {
	const struct order_edge *edges;
	size_t nr_edges;
	size_t *next; /* per node: its next edge to follow */
	uint8_t *state;
	size_t *stack;
	size_t depth;
};

static int compare_edges(const void *left, const void *right)
{
	const struct order_edge *a = left, *b = right;

	if (a->node != b->node)
		return a->node < b->node ? -1 : 1;
	return a->needs < b->needs ? -1 : a->needs > b->needs;
}

static void enter(struct walk *walk, size_t node)
{
	walk->state[node] = NODE_OPEN;
	walk->stack[walk->depth++] = node;
}

/* Depth first from node with a stack of our own; what is finished is appended to order. */
static int visit(struct walk *walk, size_t node, size_t *order, size_t *done, size_t *culprit)
{
	enter(walk, node);
	while (walk->depth) {
		size_t top = walk->stack[walk->depth - 1];
		size_t edge = walk->next[top];

		if (edge == walk->nr_edges || walk->edges[edge].node != top) {
			walk->state[top] = NODE_DONE;
			walk->depth--;
			order[(*done)++] = top;
			continue;
		}
		walk->next[top]++;
		switch (walk->state[walk->edges[edge].needs]) {
		case NODE_NEW:
			enter(walk, walk->edges[edge].needs);
			break;
		case NODE_OPEN:
			if (culprit)
				*culprit = top;
			return -ELOOP;
		}
	}
	return 0;
}

static int first_edges(struct walk *walk, size_t count)
{
	for (size_t i = 0; i < count; i++)
		walk->next[i] = walk->nr_edges;
	for (size_t i = walk->nr_edges; i > 0; i--) {
		if (walk->edges[i - 1].node >= count || walk->edges[i - 1].needs >= count)
			return -EINVAL;
		walk->next[walk->edges[i - 1].node] = i - 1;
	}
	return 0;
}

int order_resolve(size_t count, struct order_edge *edges, size_t nr_edges, size_t *order,
		  size_t *culprit)
{
	scoped_free size_t *next = calloc(count + 1, sizeof(*next));
	scoped_free size_t *stack = calloc(count + 1, sizeof(*stack));
	scoped_free uint8_t *state = calloc(count + 1, sizeof(*state));
	struct walk walk = {
		.edges = edges,
		.nr_edges = nr_edges,
		.next = next,
		.stack = stack,
		.state = state,
	};
	size_t done = 0;
	int ret;

	if (!next || !stack || !state)
		return -ENOMEM;
	if (nr_edges)
		qsort(edges, nr_edges, sizeof(*edges), compare_edges);
	ret = first_edges(&walk, count);
	for (size_t i = 0; !ret && i < count; i++) {
		if (state[i] == NODE_NEW)
			ret = visit(&walk, i, order, &done, culprit);
	}
	return ret;
}
