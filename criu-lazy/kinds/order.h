/* SPDX-License-Identifier: GPL-2.0 */
/* In which order to open what needs each other. Pure. */
#ifndef KINDS_ORDER_H
#define KINDS_ORDER_H

#include <stddef.h>

struct order_edge {
	size_t node, needs; /* node comes after needs */
};

/*
 * Fills order[count] so that every node comes after all it needs, otherwise in order of number.
 * Edges are sorted in place. 0, -ENOMEM, -EINVAL for a node that is not there, -ELOOP with *culprit
 * (may be NULL) on a cycle. No recursion.
 */
int order_resolve(size_t count, struct order_edge *edges, size_t nr_edges, size_t *order,
		  size_t *culprit);

#endif
