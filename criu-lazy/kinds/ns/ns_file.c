// SPDX-License-Identifier: GPL-2.0
/*
 * A namespace as a file: /proc/PID/ns/NAME, opened. Restored is one of the namespaces that we are
 * in ourselves, dumper and restorer; others are refused.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core.pb-c.h"
#include "dump/ids.h"
#include "inventory.pb-c.h"
#include "kinds/families.h"
#include "kinds/kind.h"
#include "kinds/own_fd.h"
#include "ns.pb-c.h"
#include "util/log.h"
#include "util/scope.h"

static const struct ns_name {
	const char *name;
	uint32_t flag;
	size_t id; /* in TaskKobjIdsEntry */
} names[] = {
	{ "pid", CLONE_NEWPID, offsetof(TaskKobjIdsEntry, pid_ns_id) },
	{ "net", CLONE_NEWNET, offsetof(TaskKobjIdsEntry, net_ns_id) },
	{ "ipc", CLONE_NEWIPC, offsetof(TaskKobjIdsEntry, ipc_ns_id) },
	{ "uts", CLONE_NEWUTS, offsetof(TaskKobjIdsEntry, uts_ns_id) },
	{ "mnt", CLONE_NEWNS, offsetof(TaskKobjIdsEntry, mnt_ns_id) },
	{ "user", CLONE_NEWUSER, offsetof(TaskKobjIdsEntry, user_ns_id) },
	{ "time", CLONE_NEWTIME, offsetof(TaskKobjIdsEntry, time_ns_id) },
	{ "cgroup", CLONE_NEWCGROUP, offsetof(TaskKobjIdsEntry, cgroup_ns_id) },
};
enum { NAMES_COUNT = sizeof(names) / sizeof(names[0]) };

/* "net:[4026531840]" */
static const struct ns_name *find_by_link(const char *link)
{
	for (size_t i = 0; i < NAMES_COUNT; i++) {
		size_t len = strlen(names[i].name);

		if (!strncmp(link, names[i].name, len) && !strncmp(link + len, ":[", 2))
			return &names[i];
	}
	return NULL;
}

static uint32_t id_of(const TaskKobjIdsEntry *ids, const struct ns_name *ns)
{
	return *(const uint32_t *)((const char *)ids + ns->id);
}

static bool ns_file_detect(const struct fd_probe *probe)
{
	return find_by_link(probe->link);
}

static int ns_file_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	const struct ns_name *ns = find_by_link(probe->link);
	TaskKobjIdsEntry ids = TASK_KOBJ_IDS_ENTRY__INIT;
	char path[32];
	struct stat own;
	NsFileEntry *nsf;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", ns->name);
	if (stat(path, &own))
		return log_errno("%s", path);
	if (own.st_dev != probe->st.st_dev || own.st_ino != probe->st.st_ino)
		return log_ret(-EOPNOTSUPP,
			       "task %d: fd %d: %s is another namespace than ours, which is not "
			       "supported",
			       probe->task->pid, probe->number, probe->link);
	nsf = message_new(NsFileEntry, ns_file_entry);
	if (!nsf)
		return -ENOMEM;
	entry->nsf = nsf;
	ids_fill_namespaces(&ids);
	nsf->id = entry->id;
	nsf->ns_id = id_of(&ids, ns);
	nsf->ns_cflag = ns->flag;
	nsf->flags = probe->flags;
	return 0;
}

static const struct ns_name *find_by_flag(uint32_t flag)
{
	for (size_t i = 0; i < NAMES_COUNT; i++) {
		if (names[i].flag == flag)
			return &names[i];
	}
	return NULL;
}

/* Of the dumper's own namespaces, which the inventory names. */
static int ns_file_collect(struct restore *restore, struct file_object *object)
{
	const NsFileEntry *nsf = object->entry->nsf;
	const TaskKobjIdsEntry *root = restore->inventory->root_ids;
	const struct ns_name *ns = find_by_flag(nsf->ns_cflag);

	if (!ns)
		return log_ret(-EBADMSG, "file %u: unknown kind of namespace %#x", object->id,
			       nsf->ns_cflag);
	if (!root || id_of(root, ns) != nsf->ns_id)
		return log_ret(-EOPNOTSUPP,
			       "file %u: %s namespace %u is not that of the host, which is not "
			       "supported",
			       object->id, ns->name, nsf->ns_id);
	return 0;
}

static int ns_file_open(struct restore *restore, struct file_object *object, int *fd)
{
	const NsFileEntry *nsf = object->entry->nsf;
	scoped_fd int file = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", find_by_flag(nsf->ns_cflag)->name);
	file = open(path, O_RDONLY | O_CLOEXEC | (int)(nsf->flags & O_PATH));
	if (file < 0)
		return log_errno("file %u: open %s", object->id, path);
	if (!(nsf->flags & O_PATH) && own_fd_set_flags(file, nsf->flags))
		return log_errno("file %u: set flags %#x", object->id, nsf->flags);
	*fd = take_fd(&file);
	return 0;
}

const struct kind_ops ns_file_kind = {
	.name = "namespace",
	.type = FD_TYPES__NS,
	.detect = ns_file_detect,
	.dump = ns_file_dump,
	.collect = ns_file_collect,
	.open = ns_file_open,
};
