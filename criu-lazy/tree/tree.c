// SPDX-License-Identifier: GPL-2.0
#include "tree/tree.h"

#include <stdlib.h>

void tree_init(struct tree *tree)
{
	tree->root = NULL;
	TAILQ_INIT(&tree->tasks);
}

void tree_fini(struct tree *tree)
{
	struct task *task;

	while ((task = TAILQ_FIRST(&tree->tasks))) {
		TAILQ_REMOVE(&tree->tasks, task, link);
		free(task->threads);
		free(task);
	}
	tree->root = NULL;
}

struct task *tree_add(struct tree *tree, struct task *parent, pid_t pid)
{
	struct task *task = calloc(1, sizeof(*task));

	if (!task)
		return NULL;
	TAILQ_INIT(&task->children);
	task->pid = pid;
	task->parent = parent;
	task->ppid = parent ? parent->pid : 0;
	task->state = TASK_ALIVE;
	TAILQ_INSERT_TAIL(&tree->tasks, task, link);
	if (parent)
		TAILQ_INSERT_TAIL(&parent->children, task, siblings);
	else
		tree->root = task;
	return task;
}

struct task *tree_find(const struct tree *tree, pid_t pid)
{
	struct task *task;

	tree_for_each (task, tree) {
		if (task->pid == pid)
			return task;
	}
	return NULL;
}
