/* SPDX-License-Identifier: GPL-2.0 */
/* Inside kinds/pipes/: the objects that are ends of one pipe, found by pipe_id. */
#ifndef KINDS_PIPES_GROUPS_H
#define KINDS_PIPES_GROUPS_H

#include "kinds/kind.h"

struct pipe_end {
	uint32_t pipe_id;
	struct file_object *object;
};

struct pipe_groups {
	struct pipe_end *ends; /* by pipe_id, then by id */
	size_t count;
};

typedef uint32_t (*pipe_id_fn)(const struct file_object *object);

/* Plan: all objects of a kind. */
int pipe_groups_init(struct pipe_groups *groups, struct file_table *table,
		     const struct kind_ops *ops, pipe_id_fn pipe_id);
void pipe_groups_fini(struct pipe_groups *groups);
/* The ends of one pipe: the first, and how many. */
struct pipe_end *pipe_groups_find(const struct pipe_groups *groups, uint32_t pipe_id,
				  size_t *count);

/* Reopens what fd is (a pipe or FIFO end) with the flags of an end of it; close-on-exec. */
int pipe_reopen(int fd, uint32_t flags, int *out);
/* After the numbers are final: SIGIO is wanted (FASYNC keeps the number in the signal). */
int pipe_set_async(const struct file_object *object, uint32_t flags, int fd);

#endif
