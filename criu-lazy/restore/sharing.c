// SPDX-License-Identifier: GPL-2.0
#include "restore/sharing.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "restore/restore_task.h"
#include "util/log.h"

static const struct resource {
	uint64_t flag; /* CLONE_*, 0: cannot be restored */
	size_t id;     /* in TaskKobjIdsEntry */
	const char *name;
} resources[] = {
	{ 0, offsetof(TaskKobjIdsEntry, vm_id), "memory" },
	{ 0, offsetof(TaskKobjIdsEntry, sighand_id), "signal actions" },
	{ CLONE_FILES, offsetof(TaskKobjIdsEntry, files_id), "descriptors" },
	{ CLONE_FS, offsetof(TaskKobjIdsEntry, fs_id), "working directory" },
};
enum { RESOURCES = sizeof(resources) / sizeof(resources[0]) };

static uint32_t id_of(const struct task *task, const struct resource *resource)
{
	return *(const uint32_t *)((const char *)task->restore->ids + resource->id);
}

static bool has_all(const struct task *creator, const struct task *task, uint64_t needed)
{
	for (size_t i = 0; i < RESOURCES; i++) {
		if (needed & resources[i].flag &&
		    id_of(creator, &resources[i]) != id_of(task, &resources[i]))
			return false;
	}
	return true;
}

/* What the task shares with tasks that are there before it. */
static int find_needed(const struct restore *restore, const struct task *task, uint64_t *needed)
{
	const struct task *other;

	*needed = 0;
	tree_for_each (other, &restore->tree) {
		if (other == task)
			break;
		if (other->state == TASK_DEAD)
			continue;
		for (size_t i = 0; i < RESOURCES; i++) {
			if (id_of(other, &resources[i]) != id_of(task, &resources[i]))
				continue;
			if (!resources[i].flag)
				return log_ret(-EOPNOTSUPP,
					       "task %d: shares its %s with task %d, which is not "
					       "supported",
					       task->pid, resources[i].name, other->pid);
			*needed |= resources[i].flag;
		}
	}
	return 0;
}

/* What the one forks is in the session that the other has at birth. */
static bool is_born_alike(const struct task *brother, const struct task *task)
{
	return brother == task->restore->session_leader ||
	       (brother->restore->session_leader == task->restore->session_leader &&
		brother->restore->is_born_early == task->restore->is_born_early);
}

static int find_creator(struct task *task, uint64_t needed)
{
	struct restore_task *rt = task->restore;
	struct task *brother;

	rt->clone_flags |= needed;
	if (!needed || (!rt->session_leader && has_all(task->parent, task, needed)))
		return 0;
	task_for_each_child (brother, task->parent) {
		if (brother == task)
			break;
		if (brother->state == TASK_DEAD || !is_born_alike(brother, task) ||
		    !has_all(brother, task, needed))
			continue;
		rt->creator = brother;
		rt->clone_flags |= CLONE_PARENT;
		return 0;
	}
	return log_ret(-EOPNOTSUPP,
		       "task %d: shares its %s with tasks that are neither its parent nor its "
		       "brothers, which is not supported",
		       task->pid, needed & CLONE_FILES ? "descriptors" : "working directory");
}

/* Who forks it if it shares nothing. */
static void set_creator(struct task *task)
{
	struct restore_task *rt = task->restore;

	rt->creator = rt->session_leader ? rt->session_leader : task->parent;
	rt->clone_flags = rt->session_leader ? CLONE_PARENT : 0;
}

static void count_directory_user(const struct restore *restore, struct task *task)
{
	struct task *first;

	tree_for_each (first, &restore->tree) {
		if (first->state != TASK_DEAD &&
		    first->restore->ids->fs_id == task->restore->ids->fs_id)
			break;
	}
	task->restore->fs_holder = first;
	first->restore->nr_fs_users++;
}

int sharing_plan(struct restore *restore)
{
	struct task *task;
	int first = 0;

	tree_for_each (task, &restore->tree) {
		uint64_t needed = 0;
		int ret = 0;

		set_creator(task);
		if (task->state == TASK_DEAD)
			continue;
		count_directory_user(restore, task);
		ret = find_needed(restore, task, &needed);
		if (!ret && task->parent)
			ret = find_creator(task, needed);
		if (ret && !first)
			first = ret;
	}
	return first;
}

bool sharing_sets_directories(struct restore *restore, const struct task *task)
{
	const struct task *holder = task->restore->fs_holder;
	uint32_t *arrived = &restore->shared->tasks[holder->restore->index].fs_arrived;
	uint32_t count = __atomic_add_fetch(arrived, 1, __ATOMIC_SEQ_CST);

	if (task != holder) {
		syscall(SYS_futex, arrived, FUTEX_WAKE, 1, NULL, NULL, 0);
		return false;
	}
	/* Whoever fails is the end of all of us: the restorer kills. */
	while (count < task->restore->nr_fs_users) {
		syscall(SYS_futex, arrived, FUTEX_WAIT, count, NULL, NULL, 0);
		count = __atomic_load_n(arrived, __ATOMIC_SEQ_CST);
	}
	return true;
}
