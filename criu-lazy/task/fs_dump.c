// SPDX-License-Identifier: GPL-2.0
/* fs-PID.img: where the task is. */
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "fs.pb-c.h"
#include "kinds/kind.h"
#include "task/task_dump.h"
#include "util/log.h"
#include "util/scope.h"

static int dump_link(struct dump *dump, struct task *task, const char *name, uint32_t *id)
{
	char link[PATH_MAX];
	ssize_t len = readlinkat(task->dump->proc_fd, name, link, sizeof(link) - 1);
	scoped_fd int fd = -1;

	if (len < 0)
		return log_errno("task %d: %s", task->pid, name);
	link[len] = '\0';
	fd = openat(task->dump->proc_fd, name, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return log_errno("task %d: %s %s", task->pid, name, link);
	return files_dump_path(dump, task, fd, link, 0, id);
}

int fs_dump_task(struct dump *dump, struct task *task)
{
	const struct proc_status *status = &thread_facts(&task->threads[0])->status;
	FsEntry entry = FS_ENTRY__INIT;
	int ret = dump_link(dump, task, "cwd", &entry.cwd_id);

	if (!ret)
		ret = dump_link(dump, task, "root", &entry.root_id);
	if (ret)
		return ret;
	entry.has_umask = status->has_umask;
	entry.umask = status->umask;
	return image_write_one(dump->images, IMG_FS, task->pid, &entry.base);
}
