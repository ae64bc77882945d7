// SPDX-License-Identifier: GPL-2.0
/* Sessions and process groups must be the tree's own, but for the root's with --shell-job. */
#include <errno.h>
#include <signal.h>

#include "dump/phases.h"
#include "pstree.pb-c.h"
#include "util/log.h"
#include "util/scope.h"

/* A leader that is gone altogether can be made anew; one that lives outside cannot be shared. */
static bool lives_outside(const struct tree *tree, pid_t id)
{
	return !tree_find(tree, id) && (id == 0 || kill(id, 0) == 0 || errno == EPERM);
}

static int check_task(const struct dump *dump, const struct task *task)
{
	const struct task *root = dump->tree.root;

	if (task->sid != root->sid && lives_outside(&dump->tree, task->sid))
		return log_ret(-EOPNOTSUPP,
			       "task %d: its session %d has its leader outside of the tree",
			       task->pid, task->sid);
	if (task->pgid != root->pgid && task->pgid != root->sid &&
	    lives_outside(&dump->tree, task->pgid))
		return log_ret(-EOPNOTSUPP,
			       "task %d: its process group %d has its leader outside of the tree",
			       task->pid, task->pgid);
	return 0;
}

int sessions_check(struct dump *dump)
{
	const struct task *root = dump->tree.root;
	struct task *task;

	if (!dump->opts->shell_job && root->sid != root->pid)
		return log_ret(
			-EOPNOTSUPP,
			"task %d: its session %d has its leader outside of the tree. Consider "
			"using --shell-job option",
			root->pid, root->sid);
	tree_for_each (task, &dump->tree) {
		int ret = check_task(dump, task);

		if (ret)
			return ret;
	}
	return 0;
}

static int write_task(struct image *img, const struct task *task)
{
	scoped_free uint32_t *tids = calloc(task->nr_threads + 1, sizeof(*tids));
	PstreeEntry entry = PSTREE_ENTRY__INIT;

	if (!tids)
		return log_ret(-ENOMEM, "task %d", task->pid);
	tids[0] = task->pid; /* all a zombie has */
	for (size_t i = 0; i < task->nr_threads; i++)
		tids[i] = task->threads[i].tid;
	entry.pid = task->pid;
	entry.ppid = task->ppid;
	entry.pgid = task->pgid;
	entry.sid = task->sid;
	entry.n_threads = task->nr_threads ? task->nr_threads : 1;
	entry.threads = tids;
	return image_write(img, &entry.base);
}

int pstree_dump(struct dump *dump)
{
	scoped_image struct image *img = NULL;
	struct task *task;
	int ret = image_create(dump->images, IMG_PSTREE, 0, &img);

	if (ret)
		return ret;
	tree_for_each (task, &dump->tree) {
		ret = write_task(img, task);
		if (ret)
			return ret;
	}
	return image_close(&img);
}
