// SPDX-License-Identifier: GPL-2.0
/* File objects from the plan to the end: what runs in the restorer and in the root task. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kinds/files_table.h"
#include "kinds/fown.h"
#include "util/log.h"
#include "util/scope.h"

/* ---- plan, in the restorer -------------------------------------------------------- */

static bool has_kind(const struct file_table *table, const struct kind_ops *ops)
{
	for (size_t i = 0; i < table->nr_nodes; i++) {
		if (table->nodes[i].object.ops == ops)
			return true;
	}
	return false;
}

static int plan_kinds(struct restore *restore)
{
	struct file_table *table = restore->files;

	for (size_t i = 0; i < KINDS_MAX && kind_at(i); i++) {
		const struct kind_ops *ops = kind_at(i);
		int ret = 0;

		if (!has_kind(table, ops))
			continue;
		table->is_planned[i] = true; /* fini() takes what a failed plan() has left */
		if (ops->plan)
			ret = ops->plan(restore);
		if (ret)
			return ret;
	}
	return 0;
}

/* All objects are looked at, so that all that is wrong is told; the first error is returned. */
static int collect_all(struct restore *restore)
{
	struct file_table *table = restore->files;
	int result = 0;

	for (size_t i = 0; i < table->nr_nodes; i++) {
		struct file_node *node = &table->nodes[i];
		const struct kind_ops *ops = node->object.ops;
		int ret = ops->collect ? ops->collect(restore, &node->object) : 0;

		if (!ret)
			node->is_late = ops->is_late && ops->is_late(restore, &node->object);
		result = result ? result : ret;
	}
	return result;
}

int file_table_need(struct file_table *table, struct file_object *object, uint32_t id)
{
	struct file_object *needed = file_table_find(table, id);
	struct order_edge *bigger;

	if (!needed)
		return log_ret(-EBADMSG, "file %u needs file %u, which is not in files.img",
			       object->id, id);
	/* Doubling at powers of two keeps this linear. */
	if (!(table->nr_needs & (table->nr_needs - 1))) {
		size_t size = table->nr_needs ? table->nr_needs * 2 : 1;

		bigger = realloc(table->needs, size * sizeof(*bigger));
		if (!bigger)
			return log_ret(-ENOMEM, "file %u: what it needs", object->id);
		table->needs = bigger;
	}
	table->needs[table->nr_needs++] = (struct order_edge){
		.node = file_node(object)->index,
		.needs = file_node(needed)->index,
	};
	return 0;
}

static int resolve_order(struct restore *restore)
{
	struct file_table *table = restore->files;
	size_t culprit = 0;
	int ret;

	for (size_t i = 0; i < table->nr_nodes; i++) {
		struct file_object *object = &table->nodes[i].object;

		ret = object->ops->depends ? object->ops->depends(restore, object) : 0;
		if (ret)
			return ret;
	}
	ret = order_resolve(table->nr_nodes, table->needs, table->nr_needs, table->order, &culprit);
	if (ret == -ELOOP)
		return log_ret(ret, "file %u: what it needs, needs it in turn",
			       table->nodes[culprit].object.id);
	return ret ? log_ret(ret, "files: order of opening") : 0;
}

static int share_late_states(struct file_table *table)
{
	void *shared;
	bool any = false;

	for (size_t i = 0; i < table->nr_nodes; i++)
		any |= table->nodes[i].is_late && table->nodes[i].first;
	if (!any)
		return 0;
	shared = mmap(NULL, table->nr_nodes * sizeof(*table->late), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return log_errno("files: shared memory");
	table->late = shared;
	return 0;
}

static int share_tables(struct file_table *table)
{
	for (size_t i = 0; i < table->nr_tables; i++) {
		struct fd_table *fds = &table->tables[i];

		if (fds->nr_users < 2)
			continue;
		fds->share = mmap(NULL, sizeof(*fds->share), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (fds->share == MAP_FAILED) {
			fds->share = NULL;
			return log_errno("files: shared memory");
		}
	}
	return 0;
}

static void files_undo(void *arg, bool failed)
{
	files_finish(arg, failed);
}

int files_plan(struct restore *restore)
{
	int ret;

	restore->files = calloc(1, sizeof(*restore->files));
	if (!restore->files)
		return log_ret(-ENOMEM, "files");
	ret = undo_push(&restore->undo, files_undo, restore);
	if (ret)
		return log_ret(ret, "files");
	ret = file_table_read_objects(restore);
	if (!ret)
		ret = file_table_read_descriptors(restore);
	if (!ret)
		ret = plan_kinds(restore);
	if (!ret)
		ret = collect_all(restore);
	if (!ret)
		ret = resolve_order(restore);
	if (!ret)
		ret = share_late_states(restore->files);
	if (!ret)
		ret = share_tables(restore->files);
	if (!ret)
		log_info("files: %zu objects in %zu descriptor tables", restore->files->nr_nodes,
			 restore->files->nr_tables);
	return ret;
}

/* ---- opening, in the root task ------------------------------------------------------- */

static bool is_opened_now(const struct file_node *node)
{
	if (node->is_late)
		return false;
	return node->uses || !node->object.ops->reopen;
}

/* Masters and descriptors at their numbers are open at the same time for a while. The soft limit
 * may go up to the hard one; the restorer sets the task's own limits in the end. */
static int make_room(const struct restore *restore)
{
	const struct file_table *table = restore->files;
	struct rlimit limit;
	rlim_t wanted = 64;

	for (size_t i = 0; i < table->nr_nodes; i++)
		wanted += is_opened_now(&table->nodes[i]);
	for (size_t i = 0; i < table->nr_users; i++) {
		int highest = files_highest_number(restore, table->users[i].task);

		if (wanted < (rlim_t)highest + 64 + table->nr_nodes)
			wanted = (rlim_t)highest + 64 + table->nr_nodes;
	}
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return log_errno("limit of open files");
	if (limit.rlim_cur >= wanted)
		return 0;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_warn("limit of open files %ju: %s", (uintmax_t)limit.rlim_cur, strerror(errno));
	return 0;
}

static int prepare_kinds(struct restore *restore)
{
	for (size_t i = 0; i < KINDS_MAX && kind_at(i); i++) {
		int ret = 0;

		if (restore->files->is_planned[i] && kind_at(i)->prepare)
			ret = kind_at(i)->prepare(restore);
		if (ret)
			return ret;
	}
	return 0;
}

int files_open_all(struct restore *restore)
{
	struct file_table *table = restore->files;
	int ret;

	ret = make_room(restore);
	if (!ret)
		ret = prepare_kinds(restore);
	for (size_t i = 0; !ret && i < table->nr_nodes; i++) {
		struct file_node *node = &table->nodes[table->order[i]];
		int fd = -1;

		if (node->object.master >= 0 || !is_opened_now(node))
			continue;
		ret = node->object.ops->open(restore, &node->object, &fd);
		if (!ret && node->object.master < 0)
			node->object.master = fd;
		if (!ret)
			log_debug("file %u: %s is open as %d", node->object.id,
				  node->object.ops->name, node->object.master);
	}
	return ret;
}

int files_open_path(struct restore *restore, uint32_t id, int flags, int *fd)
{
	struct file_object *object = file_table_find(restore->files, id);
	char path[64];

	if (!object)
		return log_ret(-EBADMSG, "file %u is not in files.img", id);
	if (object->ops->reopen)
		return object->ops->reopen(restore, object, flags, fd);
	if (object->master < 0)
		return log_ret(-EBADF, "file %u: %s is not open", id, object->ops->name);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", object->master);
	*fd = flags < 0 ? fcntl(object->master, F_DUPFD_CLOEXEC, 0)
			: open(path, flags | O_CLOEXEC | O_NOCTTY);
	if (*fd < 0)
		return log_errno("file %u: open %s again", id, object->ops->name);
	return 0;
}

/* ---- the end, in the restorer ---------------------------------------------------------- */

static int set_owner(struct restore *restore, const struct file_node *node, const FownEntry *fown)
{
	scoped_fd int pidfd = -1;
	scoped_fd int fd = -1;
	const struct task *task = node->first->holder;

	pidfd = syscall(SYS_pidfd_open, task->host_pid, 0);
	if (pidfd >= 0)
		fd = syscall(SYS_pidfd_getfd, pidfd, node->first_number, 0);
	if (fd < 0)
		return log_errno("task %d: fd %d: fetch it to set its owner", task->pid,
				 node->first_number);
	return fown_restore(restore, fd, fown);
}

static int set_owners(struct restore *restore)
{
	struct file_table *table = restore->files;

	for (size_t i = 0; i < table->nr_nodes; i++) {
		const struct file_node *node = &table->nodes[i];
		const FownEntry *fown = NULL;
		int ret = 0;

		if (node->first && node->object.ops->fown)
			fown = node->object.ops->fown(&node->object);
		if (fown && (fown->pid || fown->signum))
			ret = set_owner(restore, node, fown);
		if (ret)
			return ret;
	}
	return 0;
}

int files_finish(struct restore *restore, bool failed)
{
	struct file_table *table = restore->files;
	int ret = 0;

	if (!table || table->is_finished)
		return 0;
	table->is_finished = true;
	if (!failed)
		ret = set_owners(restore);
	for (size_t i = 0; i < KINDS_MAX && kind_at(i); i++) {
		if (table->is_planned[i] && kind_at(i)->finish)
			kind_at(i)->finish(restore, failed || ret);
	}
	return ret;
}

void files_free(struct restore *restore)
{
	file_table_free(restore);
}
