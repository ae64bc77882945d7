// SPDX-License-Identifier: GPL-2.0
/* Files of a task that are no descriptors: its program, its directories, what it has mapped. */
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <string.h>

#include "kinds/fdinfo_text.h"
#include "kinds/files_registry.h"
#include "util/log.h"
#include "util/scope.h"

struct path_slot {
	uint64_t dev, ino;
	int mnt_id;
	uint32_t flags;
	char *link;
	uint32_t id;
};

static int compare_paths(const void *left, const void *right)
{
	const struct path_slot *a = left, *b = right;

	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->mnt_id != b->mnt_id)
		return a->mnt_id < b->mnt_id ? -1 : 1;
	if (a->flags != b->flags)
		return a->flags < b->flags ? -1 : 1;
	return strcmp(a->link, b->link);
}

static void path_slot_free(void *slot)
{
	free(((struct path_slot *)slot)->link);
	free(slot);
}

static int find_path(struct dump *dump, const struct fd_probe *probe, uint32_t **id)
{
	struct path_slot wanted = {
		.dev = probe->st.st_dev,
		.ino = probe->st.st_ino,
		.mnt_id = probe->mnt_id,
		.flags = probe->flags,
		.link = (char *)probe->link,
	};
	struct path_slot **found = tfind(&wanted, &dump->files->paths, compare_paths);
	struct path_slot *slot;

	if (!found) {
		slot = malloc(sizeof(*slot));
		if (slot)
			*slot = wanted;
		if (!slot || !(slot->link = strdup(probe->link))) {
			free(slot);
			return log_ret(-ENOMEM, "task %d: %s", probe->task->pid, probe->link);
		}
		slot->id = 0;
		found = tsearch(slot, &dump->files->paths, compare_paths);
		if (!found) {
			path_slot_free(slot);
			return log_ret(-ENOMEM, "task %d: %s", probe->task->pid, probe->link);
		}
	}
	*id = &(*found)->id;
	return 0;
}

static int own_mnt_id(int fd, int *mnt_id)
{
	scoped_text struct text info = { 0 };
	struct fdinfo_common common;
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	ret = text_read_at(AT_FDCWD, path, &info) ?: fdinfo_parse_common(info.data, &common);
	if (!ret)
		*mnt_id = common.mnt_id;
	return ret;
}

int files_dump_path(struct dump *dump, struct task *task, int fd, const char *link, uint32_t flags,
		    uint32_t *id)
{
	struct fd_probe probe = {
		.task = task,
		.number = -1,
		.fd = fd,
		.link = link,
		.fdinfo = "",
		.flags = flags,
	};
	const struct kind_ops *ops;
	uint32_t *slot = NULL;
	int ret;

	if (fstat(fd, &probe.st))
		return log_errno("task %d: %s: fstat", task->pid, link);
	ret = own_mnt_id(fd, &probe.mnt_id);
	if (ret)
		return log_ret(ret, "task %d: %s: fdinfo", task->pid, link);
	ret = find_path(dump, &probe, &slot);
	if (ret)
		return ret;
	if (!*slot) {
		ops = kind_detect(&probe);
		if (!ops)
			return files_refuse(&probe);
		*slot = files_dump_new_id(dump);
		ret = files_dump_object(dump, ops, &probe, *slot);
	}
	*id = *slot;
	return ret;
}

void files_paths_free(struct file_registry *files)
{
	tdestroy(files->paths, path_slot_free);
	files->paths = NULL;
}
