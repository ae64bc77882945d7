// SPDX-License-Identifier: GPL-2.0
/*
 * The plan: every image is read and checked, the tree is built, and whatever would make the restore
 * fail later is said now, all of it, before anything is changed.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch_core.h"
#include "inventory.pb-c.h"
#include "kinds/kind.h"
#include "mem/mem.h"
#include "pstree.pb-c.h"
#include "restore/inherit.h"
#include "restore/restore_task.h"
#include "restore/sessions.h"
#include "restore/sharing.h"
#include "restore/vma_check.h"
#include "task/task_restore.h"
#include "util/log.h"
#include "util/scope.h"

enum {
	IMAGES_VERSION_MIN = 1,
	IMAGES_VERSION_MAX = 2,
	THREADS_MAX = 1 << 20,
	PID_TOP = 1 << 22,
	SIGNALS = 64
};

/* The first error of several steps that all run. */
static void note(int *first, int ret)
{
	if (ret < 0 && !*first)
		*first = ret;
}

static int read_inventory(struct restore *restore)
{
	ProtobufCMessage *msg = NULL;
	int ret = image_read_one(restore->images, IMG_INVENTORY, 0, &inventory_entry__descriptor,
				 &msg);

	if (ret == -ENOENT)
		return log_ret(ret, "%s: inventory.img: no complete dump is here",
			       restore->opts->images_dir ? restore->opts->images_dir : "images");
	if (ret)
		return ret;
	restore->inventory = (InventoryEntry *)msg;
	if (restore->inventory->img_version < IMAGES_VERSION_MIN ||
	    restore->inventory->img_version > IMAGES_VERSION_MAX) {
		log_err("inventory.img: images version %u is not supported",
			restore->inventory->img_version);
		return -EBADMSG;
	}
	return 0;
}

/*
 * A zombie has no threads: an empty list, or, from CRIU, one of a number that was never set. Its
 * core image must say that it is dead too (take_state).
 */
static bool has_no_threads(const PstreeEntry *entry)
{
	return !entry->n_threads || (entry->n_threads == 1 && entry->threads[0] != entry->pid);
}

static int add_threads(struct task *task, const PstreeEntry *entry)
{
	bool is_dead = has_no_threads(entry);

	task->state = is_dead ? TASK_DEAD : TASK_ALIVE;
	if (entry->n_threads > THREADS_MAX || (!is_dead && entry->threads[0] != entry->pid)) {
		log_err("task %u: pstree.img: bad list of %zu threads", entry->pid,
			entry->n_threads);
		return -EBADMSG;
	}
	task->nr_threads = is_dead ? 1 : entry->n_threads;
	task->threads = calloc(task->nr_threads, sizeof(*task->threads));
	if (!task->threads)
		return -ENOMEM;
	for (size_t i = 0; i < task->nr_threads; i++) {
		task->threads[i].tid = is_dead ? entry->pid : entry->threads[i];
		task->threads[i].host_tid = task->threads[i].tid;
		if (task->threads[i].tid <= 0 || task->threads[i].tid > PID_TOP) {
			log_err("task %u: pstree.img: bad tid %d", entry->pid,
				task->threads[i].tid);
			return -EBADMSG;
		}
	}
	return 0;
}

static int add_task(struct restore *restore, const PstreeEntry *entry)
{
	struct task *parent = entry->ppid ? tree_find(&restore->tree, entry->ppid) : NULL;
	struct task *task;

	if (!entry->pid || entry->pid > PID_TOP || tree_find(&restore->tree, entry->pid)) {
		log_err("pstree.img: pid %u is bad or there twice", entry->pid);
		return -EBADMSG;
	}
	if (!parent == !!restore->tree.root) {
		log_err("task %u: pstree.img: parent %u does not come before it", entry->pid,
			entry->ppid);
		return -EBADMSG;
	}
	task = tree_add(&restore->tree, parent, entry->pid);
	if (!task)
		return -ENOMEM;
	task->host_pid = task->pid;
	task->pgid = entry->pgid;
	task->sid = entry->sid;
	task->restore = calloc(1, sizeof(*task->restore));
	if (!task->restore)
		return -ENOMEM;
	task->restore->lazy_socket = -1;
	return add_threads(task, entry);
}

static int read_tree(struct restore *restore)
{
	scoped_image struct image *img = NULL;
	ProtobufCMessage *msg;
	struct task *task;
	int ret = image_open(restore->images, IMG_PSTREE, 0, &img);

	if (ret == -ENOENT)
		return log_ret(ret, "pstree.img");
	if (ret)
		return ret;
	while ((ret = image_read(img, &pstree_entry__descriptor, &msg)) > 0) {
		ret = add_task(restore, (PstreeEntry *)msg);
		image_msg_free(msg);
		if (ret)
			return ret;
	}
	if (ret)
		return ret;
	if (!restore->tree.root) {
		log_err("pstree.img: holds no task");
		return -EBADMSG;
	}
	tree_for_each (task, &restore->tree)
		task->restore->index = restore->nr_tasks++;
	return 0;
}

static int read_one(struct restore *restore, enum image_kind kind, uint32_t id,
		    const ProtobufCMessageDescriptor *type, void *out)
{
	ProtobufCMessage *msg = NULL;
	int ret = image_read_one(restore->images, kind, id, type, &msg);

	if (ret == -ENOENT)
		return image_log_missing(kind, id);
	*(ProtobufCMessage **)out = msg;
	return ret;
}

static int check_core(const struct task *task, const CoreEntry *core, bool is_leader, pid_t tid)
{
	if (is_leader && !core->tc) {
		log_err("task %d: core-%d.img has no task part", task->pid, tid);
		return -EBADMSG;
	}
	if (task->state != TASK_DEAD && (!core->thread_core || !core->thread_info)) {
		log_err("task %d: core-%d.img has no thread part", task->pid, tid);
		return -EBADMSG;
	}
	return 0;
}

/* It is ended once more by that signal (restore/fork.c), which therefore must end a process. */
static bool is_deadly(int signal)
{
	switch (signal) {
	case SIGCHLD:
	case SIGCONT:
	case SIGURG:
	case SIGWINCH:
	case SIGSTOP:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
		return false;
	default:
		return signal >= 0 && signal <= SIGNALS;
	}
}

static bool is_stop(uint32_t signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

static int check_state(const struct task *task)
{
	if (task->state == TASK_DEAD && !is_deadly(task->exit_code & 0x7f)) {
		log_err("task %d: core-%d.img: exit code %#x is of no end of a process", task->pid,
			task->pid, task->exit_code);
		return -EBADMSG;
	}
	if (task->state == TASK_STOPPED && !is_stop(task->stop_signal)) {
		log_err("task %d: core-%d.img: signal %d does not stop a process", task->pid,
			task->pid, task->stop_signal);
		return -EBADMSG;
	}
	return 0;
}

/* Fewer would leave the others at their default; old images have them in files of their own. */
static int check_actions(const struct task *task)
{
	const TaskCoreEntry *tc = task->restore->cores[0]->tc;

	if (task->state == TASK_DEAD || tc->n_sigactions >= SIGNALS - 2)
		return 0;
	log_err("task %d: core-%d.img: %zu signal actions, not %d", task->pid, task->pid,
		tc->n_sigactions, SIGNALS - 2);
	return -EBADMSG;
}

static int take_state(struct task *task)
{
	const TaskCoreEntry *tc = task->restore->cores[0]->tc;

	if (task->state == TASK_DEAD && tc->task_state != TASK_DEAD) {
		log_err("task %d: pstree.img: no threads, but it is not dead", task->pid);
		return -EBADMSG;
	}
	task->exit_code = tc->exit_code;
	switch (tc->task_state) {
	case TASK_ALIVE:
	case TASK_DEAD:
		task->state = tc->task_state;
		return check_state(task);
	case TASK_STOPPED:
		task->state = TASK_STOPPED;
		task->stop_signal = tc->has_stop_signo ? tc->stop_signo : SIGSTOP;
		return check_state(task);
	default:
		log_err("task %d: core-%d.img: unknown state %u", task->pid, task->pid,
			tc->task_state);
		return -EBADMSG;
	}
}

static int read_cores(struct restore *restore, struct task *task)
{
	struct restore_task *rt = task->restore;
	int ret;

	rt->cores = calloc(task->nr_threads, sizeof(*rt->cores));
	if (!rt->cores)
		return -ENOMEM;
	ret = read_one(restore, IMG_CORE, task->pid, &core_entry__descriptor, &rt->cores[0]);
	if (!ret && !rt->cores[0]->tc)
		ret = check_core(task, rt->cores[0], true, task->pid);
	if (!ret)
		ret = take_state(task);
	if (!ret)
		ret = check_actions(task);
	if (!ret)
		ret = check_core(task, rt->cores[0], true, task->pid);
	for (size_t i = 1; !ret && i < task->nr_threads && task->state != TASK_DEAD; i++) {
		pid_t tid = task->threads[i].tid;

		ret = read_one(restore, IMG_CORE, tid, &core_entry__descriptor, &rt->cores[i]);
		if (!ret)
			ret = check_core(task, rt->cores[i], false, tid);
	}
	return ret;
}

static int check_memory(struct restore *restore, struct task *task)
{
	struct restore_task *rt = task->restore;
	size_t index = 0;
	const char *wrong = vma_list_check(rt->mm, &index);
	uint64_t vaddr;

	if (wrong) {
		const VmaEntry *vma = rt->mm->vmas[index];

		log_err("task %d: area %#lx-%#lx %s", task->pid, vma->start, vma->end, wrong);
		return -EBADMSG;
	}
	if (rt->pages && !vma_list_holds(rt->mm, page_source_extents(rt->pages),
					 page_source_extent_count(rt->pages), &vaddr)) {
		log_err("task %d: page %#lx lies in no area that has pages", task->pid, vaddr);
		return -EBADMSG;
	}
	return 0;
}

/* A page that is only at a page server must be in an area that the daemon fills. */
static int check_remote(struct restore *restore, struct task *task)
{
	struct restore_task *rt = task->restore;
	size_t count = rt->pages ? page_source_extent_count(rt->pages) : 0;

	for (size_t i = 0; i < count; i++) {
		const struct page_extent *extent = &page_source_extents(rt->pages)[i];

		if (extent->origin == PAGE_LOCAL || lazy_plan_covers(&rt->lazy, extent->vaddr))
			continue;
		log_err("task %d: page %#lx is not in the images but at a page server%s", task->pid,
			extent->vaddr, restore->opts->lazy_pages ? "" : "; use --lazy-pages");
		return -ENODATA;
	}
	return 0;
}

static int read_memory(struct restore *restore, struct task *task)
{
	struct restore_task *rt = task->restore;
	int ret = read_one(restore, IMG_MM, task->pid, &mm_entry__descriptor, &rt->mm);

	if (ret)
		return ret;
	ret = page_source_open(restore->images, PAGE_OBJECT_TASK, task->pid, &rt->pages);
	/* Without it every page would silently be zeros. */
	if (ret == -ENOENT)
		return image_log_missing(IMG_PAGEMAP, task->pid);
	if (ret)
		return ret;
	return check_memory(restore, task);
}

static int read_ext(struct restore *restore, struct task *task)
{
	ProtobufCMessage *msg = NULL;
	int ret = image_read_one(restore->images, IMG_TASK_EXT, task->pid,
				 &task_ext_entry__descriptor, &msg);

	task->restore->ext = (TaskExtEntry *)msg;
	return ret == -ENOENT ? 0 : ret;
}

static int read_task(struct restore *restore, struct task *task)
{
	struct restore_task *rt = task->restore;
	int first = 0, ret = read_cores(restore, task);

	if (ret || task->state == TASK_DEAD)
		return ret;
	note(&first,
	     read_one(restore, IMG_IDS, task->pid, &task_kobj_ids_entry__descriptor, &rt->ids));
	note(&first, read_one(restore, IMG_FS, task->pid, &fs_entry__descriptor, &rt->fs));
	note(&first, read_memory(restore, task));
	note(&first, read_ext(restore, task));
	if (!first)
		first = vdso_plan(restore, task);
	return first;
}

static bool is_lazy_segment(void *ctx, uint64_t shmid)
{
	return shmem_is_lazy(ctx, shmid);
}

static int plan_lazy(struct restore *restore)
{
	struct task *task;
	int first = 0;

	tree_for_each (task, &restore->tree) {
		struct restore_task *rt = task->restore;

		if (task->state == TASK_DEAD)
			continue;
		if (restore->opts->lazy_pages) {
			int ret = lazy_plan_build(rt->mm, rt->cores, task->nr_threads,
						  is_lazy_segment, restore, &rt->lazy);

			if (ret)
				return ret;
		}
		note(&first, check_remote(restore, task));
	}
	return first;
}

int restore_plan(struct restore *restore)
{
	struct task *task;
	int ret, first = 0;

	ret = read_inventory(restore);
	if (!ret)
		ret = read_tree(restore);
	if (ret)
		return ret;
	tree_for_each (task, &restore->tree)
		note(&first, read_task(restore, task));
	if (first)
		return first;
	note(&first, sessions_plan(restore));
	note(&first, sharing_plan(restore));
	note(&first, pids_check(restore));
	note(&first, files_plan(restore));
	note(&first, shmem_plan(restore));
	note(&first, task_restore_plan(restore));
	if (!first)
		first = plan_lazy(restore);
	if (!first)
		first = inherit_plan(restore);
	return first;
}

static void free_task(struct task *task)
{
	struct restore_task *rt = task->restore;

	if (!rt)
		return;
	for (size_t i = 0; rt->cores && i < task->nr_threads; i++) {
		if (rt->cores[i])
			image_msg_free(&rt->cores[i]->base);
	}
	free(rt->cores);
	if (rt->ids)
		image_msg_free(&rt->ids->base);
	if (rt->mm)
		image_msg_free(&rt->mm->base);
	if (rt->fs)
		image_msg_free(&rt->fs->base);
	if (rt->ext)
		image_msg_free(&rt->ext->base);
	if (rt->pages)
		page_source_close(rt->pages);
	free(rt->vdso);
	free(rt->inherited);
	lazy_plan_fini(&rt->lazy);
	if (rt->lazy_socket >= 0)
		close(rt->lazy_socket);
	free(rt);
	task->restore = NULL;
}

void restore_plan_free(struct restore *restore)
{
	struct task *task;

	files_free(restore);
	shmem_free(restore);
	tree_for_each (task, &restore->tree)
		free_task(task);
	tree_fini(&restore->tree);
	if (restore->inventory)
		image_msg_free(&restore->inventory->base);
	restore->inventory = NULL;
}
