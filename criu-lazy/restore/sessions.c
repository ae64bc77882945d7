// SPDX-License-Identifier: GPL-2.0
#include "restore/sessions.h"

#include <unistd.h>

#include "kinds/ttys/ttys.h"
#include "restore/restore_task.h"
#include "util/log.h"

/* The root's session is led from outside: then it and its group become the restorer's. */
static bool is_foreign(const struct restore *restore)
{
	return restore->tree.root->sid != restore->tree.root->pid;
}

static bool keeps_our_group(const struct restore *restore, const struct task *task)
{
	return is_foreign(restore) && task->pgid == restore->tree.root->pgid &&
	       task->sid == restore->tree.root->sid;
}

static pid_t birth_session(const struct task *task)
{
	while (task->restore->is_born_early)
		task = task->parent;
	return task->parent ? task->parent->sid : 0;
}

static int plan_session(struct restore *restore, struct task *task)
{
	const struct task *parent = task->parent;

	if (!parent) {
		if (!is_foreign(restore) || restore->opts->shell_job)
			return 0;
		log_err("task %d: its session %d is led from outside the tree; use --shell-job",
			task->pid, task->sid);
		return -EINVAL;
	}
	if (task->sid == task->pid || task->sid == parent->sid)
		return 0;
	if (parent->sid == parent->pid && birth_session(parent) == task->sid && task->sid) {
		task->restore->is_born_early = true;
		return 0;
	}
	log_err("task %d: the leader of its session %d is gone, which is not supported", task->pid,
		task->sid);
	return -EOPNOTSUPP;
}

static int plan_group(struct restore *restore, struct task *task)
{
	const struct task *leader;

	if (task->pgid == task->pid || keeps_our_group(restore, task))
		return 0;
	leader = tree_find(&restore->tree, task->pgid);
	if (leader && leader->pgid == leader->pid && leader->sid == task->sid)
		return 0;
	log_err("task %d: the leader of its process group %d is gone, which is not supported",
		task->pid, task->pgid);
	return -EOPNOTSUPP;
}

int sessions_plan(struct restore *restore)
{
	struct task *task;
	int first = 0;

	tree_for_each (task, &restore->tree) {
		int ret = plan_session(restore, task);

		if (!ret)
			ret = plan_group(restore, task);
		if (ret && !first)
			first = ret;
	}
	return first;
}

int sessions_lead(const struct restore *restore, const struct task *task)
{
	if (task->sid == task->pid) {
		if (setsid() < 0)
			return log_errno("task %d: start session", task->pid);
		return ttys_take_controlling(restore, task);
	}
	if (task->pgid == task->pid && !keeps_our_group(restore, task) && setpgid(0, 0) < 0)
		return log_errno("task %d: start process group", task->pid);
	return 0;
}

int sessions_join(const struct restore *restore, const struct task *task)
{
	if (task->pgid == task->pid || keeps_our_group(restore, task))
		return 0;
	if (getpgrp() != task->pgid && setpgid(0, task->pgid) < 0)
		return log_errno("task %d: join process group %d", task->pid, task->pgid);
	return 0;
}
