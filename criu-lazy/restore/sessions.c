// SPDX-License-Identifier: GPL-2.0
#include "restore/sessions.h"

#include <errno.h>
#include <stdlib.h>
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

/* Not of the images: a child of parent that leads a session or a group until others have joined. */
static struct task *add_helper(struct restore *restore, struct task *parent, pid_t pid, pid_t sid)
{
	struct task *helper = tree_add(&restore->tree, parent, pid);

	if (!helper)
		return NULL;
	helper->restore = calloc(1, sizeof(*helper->restore));
	helper->threads = calloc(1, sizeof(*helper->threads));
	if (!helper->restore || !helper->threads)
		return NULL;
	helper->nr_threads = 1;
	helper->threads[0].tid = helper->threads[0].host_tid = helper->pid;
	helper->host_pid = helper->pid;
	helper->pgid = helper->pid;
	helper->sid = sid;
	helper->state = TASK_DEAD;
	helper->restore->is_helper = true;
	helper->restore->lazy_socket = -1;
	helper->restore->index = restore->nr_tasks++;
	return helper;
}

/*
 * Born in a session that is not its parent's: whoever bore it is gone. The leader does it now, as a
 * brother; if the leader is gone too, a helper in its place.
 */
static int find_leader(struct restore *restore, struct task *task)
{
	struct task *leader = task->sid > 0 ? tree_find(&restore->tree, task->sid) : NULL;

	if (!leader && task->sid > 0) {
		leader = add_helper(restore, task->parent, task->sid, task->sid);
		if (!leader)
			return log_ret(-ENOMEM, "task %d: its session", task->pid);
	}
	if (!leader || leader->parent != task->parent || leader->sid != leader->pid)
		return log_ret(-EOPNOTSUPP,
			       "task %d: its session %d is led by neither an ancestor nor a "
			       "brother, which is not supported",
			       task->pid, task->sid);
	task->restore->session_leader = leader;
	return 0;
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
	return find_leader(restore, task);
}

/* The leader of the group is gone, the group is not: a helper, born as the member is, and so in the
 * same session, starts it. */
static int lead_group(struct restore *restore, const struct task *member)
{
	struct task *helper;

	if (!member->parent || member->pgid <= 0)
		return log_ret(-EOPNOTSUPP,
			       "task %d: the leader of its process group %d is gone, which is not "
			       "supported",
			       member->pid, member->pgid);
	helper = add_helper(restore, member->parent, member->pgid, member->sid);
	if (!helper)
		return log_ret(-ENOMEM, "task %d: its process group", member->pid);
	helper->restore->is_born_early = member->restore->is_born_early;
	helper->restore->session_leader = member->restore->session_leader;
	return 0;
}

static int plan_group(struct restore *restore, struct task *task)
{
	const struct task *leader;

	if (task->pgid == task->pid || keeps_our_group(restore, task))
		return 0;
	leader = tree_find(&restore->tree, task->pgid);
	if (leader && leader->pgid == leader->pid && leader->sid == task->sid)
		return 0;
	if (!leader)
		return lead_group(restore, task);
	log_err("task %d: its process group %d is led by a task in another session", task->pid,
		task->pgid);
	return -EBADMSG;
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
		/* A terminal would be hung up when the helper ends. */
		return task->restore->is_helper ? 0 : ttys_take_controlling(restore, task);
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
