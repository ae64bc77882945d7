// SPDX-License-Identifier: GPL-2.0
/*
 * Which tasks share what. kcmp(2) orders kernel objects, so each resource keeps
 * a sorted array of the tasks that first had it, and a new task is a binary
 * search. Ids of the namespaces are the same for all: they are ours.
 */
#include <errno.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core.pb-c.h"
#include "dump/ids.h"
#include "dump/phases.h"
#include "task/facts.h"
#include "util/log.h"

enum { FIRST_TASK_ID = 2 }; /* 1 is the dumper's own, in the inventory */

struct holder {
	pid_t tid;
	uint32_t id;
};

struct sharing {
	struct holder *holders; /* in the kernel's order of the objects */
	size_t count, cap;
};

/* <0: error; 0 equal; 1 a is less; 2 a is greater. 3: differ, cannot be ordered. */
static int compare(pid_t a, pid_t b, int what)
{
	int ret = syscall(SYS_kcmp, a, b, what, 0, 0);

	return ret < 0 ? log_errno("task %d: compare with %d (kcmp)", a, b) : ret;
}

/* 1 with *at the holder that shares with tid, 0 with *at where to insert. */
static int find_holder(const struct sharing *sharing, pid_t tid, int what, size_t *at)
{
	size_t low = 0, high = sharing->count;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = compare(tid, sharing->holders[mid].tid, what);

		if (order < 0)
			return order;
		*at = mid;
		if (order == 0)
			return 1;
		if (order == 1)
			high = mid;
		else
			low = mid + 1;
	}
	*at = low;
	return 0;
}

static int share(struct sharing *sharing, pid_t tid, int what, uint32_t *id, bool *is_shared)
{
	size_t at = 0;
	int ret = find_holder(sharing, tid, what, &at);

	if (ret < 0)
		return ret;
	*is_shared = ret == 1;
	if (ret == 1) {
		*id = sharing->holders[at].id;
		return 0;
	}
	if (sharing->count == sharing->cap) {
		size_t cap = sharing->cap ? sharing->cap * 2 : 16;
		struct holder *more = realloc(sharing->holders, cap * sizeof(*more));

		if (!more)
			return log_ret(-ENOMEM, "task %d: ids", tid);
		sharing->holders = more;
		sharing->cap = cap;
	}
	memmove(sharing->holders + at + 1, sharing->holders + at,
		(sharing->count - at) * sizeof(*sharing->holders));
	*id = FIRST_TASK_ID + sharing->count++;
	sharing->holders[at] = (struct holder){ tid, *id };
	return 0;
}

static const struct resource {
	int what;  /* KCMP_* */
	size_t id; /* in struct kernel_ids */
	const char *name;
	bool may_be_shared; /* by processes; images and restore know how */
} resources[] = {
	{ KCMP_VM, offsetof(struct kernel_ids, vm), "memory", false },
	{ KCMP_FILES, offsetof(struct kernel_ids, files), "descriptors", true },
	{ KCMP_FS, offsetof(struct kernel_ids, fs), "working directory", true },
	{ KCMP_SIGHAND, offsetof(struct kernel_ids, sighand), "signal actions", false },
};
enum { RESOURCES = sizeof(resources) / sizeof(resources[0]) };

static int collect_task(struct sharing sharing[RESOURCES], struct task *task)
{
	struct kernel_ids *ids = &task_facts(task)->ids;

	for (size_t i = 0; i < RESOURCES; i++) {
		uint32_t *id = (uint32_t *)((char *)ids + resources[i].id);
		bool is_shared;
		int ret = share(&sharing[i], task->host_pid, resources[i].what, id, &is_shared);

		if (ret)
			return ret;
		if (resources[i].what == KCMP_FILES)
			task_facts(task)->shares_files = is_shared;
		if (is_shared && !resources[i].may_be_shared)
			return log_ret(-EOPNOTSUPP,
				       "task %d: shares its %s with another process, which is not "
				       "supported",
				       task->pid, resources[i].name);
	}
	return 0;
}

/* A thread may have left the table of its process with unshare(2). */
static int check_threads(const struct task *task)
{
	static const struct {
		int what;
		const char *name;
	} kinds[] = { { KCMP_FILES, "descriptors" }, { KCMP_FS, "working directory" } };

	for (size_t i = 1; i < task->nr_threads; i++) {
		for (size_t k = 0; k < 2; k++) {
			int ret = compare(task->threads[i].host_tid, task->host_pid, kinds[k].what);

			if (ret < 0)
				return ret;
			if (ret)
				return log_ret(-EOPNOTSUPP,
					       "task %d: thread %d has its own %s, which is not "
					       "supported",
					       task->pid, task->threads[i].tid, kinds[k].name);
		}
	}
	return 0;
}

int ids_collect(struct dump *dump)
{
	struct sharing sharing[RESOURCES] = { { 0 } };
	struct task *task;
	int ret = 0;

	tree_for_each (task, &dump->tree) {
		if (task->state == TASK_DEAD)
			continue;
		ret = collect_task(sharing, task);
		if (!ret)
			ret = check_threads(task);
		if (ret)
			break;
	}
	for (size_t i = 0; i < RESOURCES; i++)
		free(sharing[i].holders);
	return ret;
}

/* One number per namespace kind, all different. Root ids in the inventory are the same: nothing
 * has to be made on restore. */
void ids_fill_namespaces(TaskKobjIdsEntry *entry)
{
	uint32_t next = 1;
	struct {
		protobuf_c_boolean *has;
		uint32_t *id;
	} const kinds[] = {
		{ &entry->has_pid_ns_id, &entry->pid_ns_id },
		{ &entry->has_net_ns_id, &entry->net_ns_id },
		{ &entry->has_ipc_ns_id, &entry->ipc_ns_id },
		{ &entry->has_uts_ns_id, &entry->uts_ns_id },
		{ &entry->has_time_ns_id, &entry->time_ns_id },
		{ &entry->has_mnt_ns_id, &entry->mnt_ns_id },
		{ &entry->has_user_ns_id, &entry->user_ns_id },
		{ &entry->has_cgroup_ns_id, &entry->cgroup_ns_id },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		*kinds[i].has = true;
		*kinds[i].id = next++;
	}
}

int ids_dump_task(struct dump *dump, const struct task *task)
{
	const struct kernel_ids *ids = &task_facts(task)->ids;
	TaskKobjIdsEntry entry = TASK_KOBJ_IDS_ENTRY__INIT;

	entry.vm_id = ids->vm;
	entry.files_id = ids->files;
	entry.fs_id = ids->fs;
	entry.sighand_id = ids->sighand;
	ids_fill_namespaces(&entry);
	return image_write_one(dump->images, IMG_IDS, task->pid, &entry.base);
}
