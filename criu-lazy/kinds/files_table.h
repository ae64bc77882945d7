/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside kinds/: what the plan knows of files.
 *
 *   struct file_table -> nodes (by id; a node is a file_object and what the machinery adds)
 *                     -> tables (one per descriptor table: slots by number -> node)
 *                     -> users (task -> table)
 *                     -> order (nodes, dependencies first)
 */
#ifndef KINDS_FILES_TABLE_H
#define KINDS_FILES_TABLE_H

#include "kinds/kind.h"
#include "kinds/order.h"

enum { KINDS_MAX = 64 };

struct fd_slot {
	int number;
	bool cloexec;
	struct file_node *node;
};

struct fd_table {
	uint32_t id;
	const struct task *holder; /* the first task (lowest pid) that uses it */
	struct fd_slot *slots;	   /* by number */
	size_t nr_slots;
	size_t nr_users;	   /* tasks */
	struct table_share *share; /* NULL: one user */
};

enum { SHARE_KEEP_MAX = 1 << 20 };

/*
 * A descriptor table that several tasks share (CLONE_FILES): each adds descriptors of its own for
 * the restore, then the holder alone puts the table in order. Shared by all processes.
 */
struct table_share {
	uint32_t arrived; /* users whose descriptors are in keep; futex */
	uint32_t is_done; /* futex */
	uint32_t nr_keep;
	int32_t keep[SHARE_KEEP_MAX]; /* all users' own descriptors */
};

struct file_node {
	struct file_object object; /* first: kinds see this */
	size_t index;
	size_t uses;		      /* slots of all tables */
	const struct fd_table *first; /* table of the holder with the lowest pid; NULL: not held */
	int first_number;	      /* the lowest number there */
	bool is_late;
};

struct table_user {
	const struct task *task;
	size_t table;
};

/* Late objects: the first holder tells the others where it has it. Shared by all processes. */
struct late_state {
	uint32_t is_open; /* futex word */
	int32_t pid, fd;
};

struct file_table {
	struct file_node *nodes;
	size_t nr_nodes;
	struct order_edge *needs;
	size_t nr_needs;
	size_t *order; /* indices of nodes */
	struct fd_table *tables;
	size_t nr_tables;
	struct table_user *users; /* by pid */
	size_t nr_users;
	struct late_state *late; /* one per node, shared; NULL if no node is late */
	void *priv[KINDS_MAX];
	bool is_planned[KINDS_MAX]; /* the kind's plan has been called */
	bool is_finished;
};

/* The task's descriptor table; NULL: it has none (a zombie). */
struct fd_table *file_table_of(const struct file_table *table, const struct task *task);

static inline struct file_node *file_node(struct file_object *object)
{
	return (struct file_node *)object;
}

/* files_table.c: the steps of files_plan() that read. */
int file_table_read_objects(struct restore *restore);
int file_table_read_descriptors(struct restore *restore);
void file_table_free(struct restore *restore);

#endif
