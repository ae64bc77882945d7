// SPDX-License-Identifier: GPL-2.0
/* Tasks in other namespaces than ours are not dumped yet: said by name, before anything is done. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dump/phases.h"
#include "util/log.h"
#include "util/scope.h"

static const char *const names[] = {
	"pid",
	"net",
	"ipc",
	"uts",
	"time",
	"mnt",
	"user",
	"pid_for_children",
	"time_for_children",
	"cgroup",
};
enum { NAMES_COUNT = sizeof(names) / sizeof(names[0]), LINK_SIZE = 64 };

/* What a thread can have for itself, apart from its process: checked for each. Its own "mnt" shows
 * as a working directory of its own (unshare(2)). */
static bool is_per_thread(const char *name)
{
	return !strcmp(name, "net") || !strcmp(name, "ipc") || !strcmp(name, "uts") ||
	       !strcmp(name, "pid_for_children") || !strcmp(name, "time_for_children") ||
	       !strcmp(name, "cgroup");
}

/* "net:[4026531840]"; empty if this kernel has no such namespace. */
static int read_ns(int proc_fd, const char *dir, const char *name, char out[LINK_SIZE])
{
	char path[64];
	ssize_t len;

	snprintf(path, sizeof(path), "%sns/%s", dir, name);
	len = readlinkat(proc_fd, path, out, LINK_SIZE - 1);
	if (len < 0 && errno != ENOENT)
		return -errno;
	out[len > 0 ? len : 0] = '\0';
	return 0;
}

static int check_dir(const struct task *task, const char *dir, bool is_thread,
		     const char own[NAMES_COUNT][LINK_SIZE])
{
	char link[LINK_SIZE];

	for (size_t i = 0; i < NAMES_COUNT; i++) {
		int ret;

		if (is_thread && !is_per_thread(names[i]))
			continue;
		ret = read_ns(task->dump->proc_fd, dir, names[i], link);
		if (ret)
			return log_ret(ret, "task %d: %sns/%s", task->pid, dir, names[i]);
		/* pid_for_children is empty until the first fork into a new namespace. */
		if (strcmp(link, own[i]))
			return log_ret(-EOPNOTSUPP,
				       "task %d: is in another %s namespace (%s) than we are, "
				       "which is not supported",
				       task->pid, names[i], *link ? link : "empty yet");
	}
	return 0;
}

static int check_task(const struct task *task, const char own[NAMES_COUNT][LINK_SIZE])
{
	int ret = check_dir(task, "", false, own);

	for (size_t i = 1; !ret && i < task->nr_threads; i++) {
		char dir[32];

		snprintf(dir, sizeof(dir), "task/%d/", task->threads[i].host_tid);
		ret = check_dir(task, dir, true, own);
	}
	return ret;
}

int namespaces_check(struct dump *dump)
{
	scoped_fd int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char own[NAMES_COUNT][LINK_SIZE];
	struct task *task;
	int ret;

	if (self < 0)
		return log_errno("/proc/self");
	for (size_t i = 0; i < NAMES_COUNT; i++) {
		ret = read_ns(self, "", names[i], own[i]);
		if (ret)
			return log_ret(ret, "/proc/self/ns/%s", names[i]);
	}
	tree_for_each (task, &dump->tree) {
		if (task->state == TASK_DEAD)
			continue;
		ret = check_task(task, own);
		if (ret)
			return ret;
	}
	return 0;
}
