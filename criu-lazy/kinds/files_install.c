// SPDX-License-Identifier: GPL-2.0
/*
 * In a task that is being restored: the masters it inherited go to the numbers it had.
 *
 * Each object has one place where it is now: its master, later the first of its final numbers.
 * Numbers are filled from below. A master in the way is moved above all final numbers first,
 * and closed with its last use, so that no more descriptors are open than masters and ours, and
 * one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kinds/files_table.h"
#include "util/fds.h"
#include "util/log.h"
#include "util/scope.h"

enum { LATE_WAIT_SECONDS = 10 };

struct install {
	struct restore *restore;
	const struct task *task;
	const struct fd_table *fds;
	int highest;
	struct place *places;  /* per node */
	struct by_fd *masters; /* masters at numbers that may be wanted, by number */
	size_t nr_masters;
};

struct place {
	int fd;	       /* where the object is now; -1: nowhere */
	size_t uses;   /* slots still to be filled */
	bool is_final; /* fd is one of the task's own numbers */
};

struct by_fd {
	int fd;
	size_t node;
};

int files_highest_number(const struct restore *restore, const struct task *task)
{
	const struct fd_table *fds = file_table_of(restore->files, task);

	return fds && fds->nr_slots ? fds->slots[fds->nr_slots - 1].number : -1;
}

/* ---- our own descriptors -------------------------------------------------------------- */

/* What others may use too is left where it is. */
static int move_above(int *fd, int highest, bool is_shared)
{
	int moved;

	if (*fd < 0 || (*fd > highest && !is_shared))
		return 0;
	moved = fcntl(*fd, F_DUPFD_CLOEXEC, highest + 1);
	if (moved < 0)
		return log_errno("move descriptor %d above %d", *fd, highest);
	if (!is_shared)
		close(*fd);
	*fd = moved;
	return 0;
}

/* Standard error becomes the task's: without a log of its own, lines go to a duplicate of ours. */
static int keep_log(int highest, bool is_shared)
{
	int fd = log_fd();
	int ret = 0;

	if (fd < 0)
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, highest + 1);
	else
		ret = move_above(&fd, highest, is_shared);
	if (fd < 0)
		return 0; /* there is none */
	if (!ret)
		log_set_fd(fd);
	return ret;
}

static int keep_ours(int *const keep[], size_t nr_keep, int highest, bool is_shared)
{
	bool has_log = false;
	int ret = 0;

	for (size_t i = 0; !ret && i < nr_keep; i++) {
		bool is_log = *keep[i] >= 0 && *keep[i] == log_fd();

		/* Each is the task's alone, but for the log. */
		ret = move_above(keep[i], highest, is_shared && is_log);
		if (!ret && *keep[i] >= 0 && fcntl(*keep[i], F_SETFD, FD_CLOEXEC))
			ret = log_errno("descriptor %d to keep", *keep[i]);
		if (!ret && is_log)
			log_set_fd(*keep[i]);
		has_log |= is_log;
	}
	return ret || has_log ? ret : keep_log(highest, is_shared);
}

/* Closes everything but the numbers of the table and ours, or those of all that share it. */
static int close_others(const struct install *in, int *const keep[], size_t nr_keep)
{
	const struct table_share *share = in->fds->share;
	size_t count = 0, nr_shared = share ? share->nr_keep : 0;
	scoped_free int *wanted = calloc(in->fds->nr_slots + nr_keep + nr_shared + 1, sizeof(int));
	int ret;

	if (!wanted)
		return log_ret(-ENOMEM, "task %d: close descriptors", in->task->pid);
	for (size_t i = 0; i < in->fds->nr_slots; i++)
		wanted[count++] = in->fds->slots[i].number;
	for (size_t i = 0; i < nr_keep; i++)
		wanted[count++] = *keep[i];
	wanted[count++] = log_fd();
	for (size_t i = 0; i < nr_shared; i++)
		wanted[count++] = share->keep[i];
	ret = fds_close_others(wanted, count);
	return ret ? log_ret(ret, "task %d: close descriptors", in->task->pid) : 0;
}

/* ---- masters to their numbers ------------------------------------------------------------ */

static int compare_by_fd(const void *left, const void *right)
{
	const struct by_fd *a = left, *b = right;

	return a->fd < b->fd ? -1 : a->fd > b->fd;
}

static int find_places(struct install *in)
{
	struct file_table *table = in->restore->files;

	in->places = calloc(table->nr_nodes + 1, sizeof(*in->places));
	in->masters = calloc(table->nr_nodes + 1, sizeof(*in->masters));
	if (!in->places || !in->masters)
		return log_ret(-ENOMEM, "task %d: descriptors", in->task->pid);
	for (size_t i = 0; i < in->fds->nr_slots; i++)
		in->places[in->fds->slots[i].node->index].uses++;
	for (size_t i = 0; i < table->nr_nodes; i++) {
		int master = table->nodes[i].object.master;

		in->places[i].fd = master;
		if (master < 0)
			continue;
		if (!in->places[i].uses) {
			close(master);
			in->places[i].fd = -1;
		} else if (master <= in->highest) {
			in->masters[in->nr_masters++] = (struct by_fd){ .fd = master, .node = i };
		}
	}
	if (in->nr_masters)
		qsort(in->masters, in->nr_masters, sizeof(*in->masters), compare_by_fd);
	return 0;
}

/* If number is where another object waits, that one is moved out of the way. */
static int make_way(struct install *in, int number)
{
	struct by_fd key = { .fd = number };
	struct by_fd *found = NULL;
	struct place *place;
	int moved;

	if (in->nr_masters)
		found = bsearch(&key, in->masters, in->nr_masters, sizeof(key), compare_by_fd);
	if (!found)
		return 0;
	place = &in->places[found->node];
	if (place->fd != number || place->is_final)
		return 0;
	moved = fcntl(number, F_DUPFD_CLOEXEC, in->highest + 1);
	if (moved < 0)
		return log_errno("task %d: move descriptor %d away", in->task->pid, number);
	place->fd = moved;
	return 0;
}

static int put(struct install *in, struct place *place, const struct fd_slot *slot)
{
	if (place->fd == slot->number) {
		if (fcntl(slot->number, F_SETFD, slot->cloexec ? FD_CLOEXEC : 0))
			return log_errno("task %d: fd %d: flags", in->task->pid, slot->number);
	} else {
		int ret = make_way(in, slot->number);

		if (ret)
			return ret;
		if (dup3(place->fd, slot->number, slot->cloexec ? O_CLOEXEC : 0) < 0)
			return log_errno("task %d: fd %d: put file %u there (limit of open files?)",
					 in->task->pid, slot->number, slot->node->object.id);
		if (!place->is_final)
			close(place->fd);
	}
	place->fd = slot->number;
	place->is_final = true;
	place->uses--;
	return 0;
}

static int put_all(struct install *in)
{
	for (size_t i = 0; i < in->fds->nr_slots; i++) {
		const struct fd_slot *slot = &in->fds->slots[i];
		struct place *place = &in->places[slot->node->index];
		int ret = 0;

		if (place->fd >= 0)
			ret = put(in, place, slot);
		else if (!slot->node->is_late)
			ret = log_ret(-EBADF, "task %d: fd %d: file %u is not open", in->task->pid,
				      slot->number, slot->node->object.id);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- late objects --------------------------------------------------------------------------- */

/* Waits for the first holder, then takes its descriptor. */
static int fetch_late(struct install *in, const struct file_node *node, struct late_state *state,
		      int *fd)
{
	struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	scoped_fd int pidfd = -1;

	for (int i = 0; !__atomic_load_n(&state->is_open, __ATOMIC_ACQUIRE); i++) {
		if (i == LATE_WAIT_SECONDS * 10)
			return log_ret(-ETIMEDOUT, "task %d: file %u: task %d has not opened it",
				       in->task->pid, node->object.id, node->first->holder->pid);
		syscall(SYS_futex, &state->is_open, FUTEX_WAIT, 0, &pause, NULL, 0);
	}
	pidfd = syscall(SYS_pidfd_open, state->pid, 0);
	*fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, state->fd, 0);
	if (*fd < 0)
		return log_errno("task %d: file %u: fetch it from task %d", in->task->pid,
				 node->object.id, state->pid);
	return 0;
}

static int open_late(struct install *in, struct file_node *node, int *fd)
{
	struct late_state *state = &in->restore->files->late[node->index];
	int ret;

	if (node->first != in->fds)
		return fetch_late(in, node, state, fd);
	ret = node->object.ops->open(in->restore, &node->object, fd);
	if (ret)
		return ret;
	state->pid = getpid();
	return 0;
}

static void tell_late(struct install *in, const struct file_node *node)
{
	struct late_state *state = &in->restore->files->late[node->index];

	if (node->first != in->fds)
		return;
	state->fd = node->first_number;
	__atomic_store_n(&state->is_open, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &state->is_open, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static int put_late(struct install *in)
{
	for (size_t i = 0; i < in->fds->nr_slots; i++) {
		const struct fd_slot *slot = &in->fds->slots[i];
		struct place *place = &in->places[slot->node->index];
		bool is_new = place->fd < 0;
		int ret = 0;

		if (!slot->node->is_late || !place->uses)
			continue;
		if (is_new)
			ret = open_late(in, slot->node, &place->fd);
		if (!ret)
			ret = put(in, place, slot);
		if (ret)
			return ret;
		if (is_new)
			tell_late(in, slot->node);
	}
	return 0;
}

/* ---- tables of several tasks -------------------------------------------------------------- */

static void futex_wait_for(uint32_t *word, uint32_t least)
{
	uint32_t value;

	/* Whoever fails is the end of all of us: the restorer kills. */
	while ((value = __atomic_load_n(word, __ATOMIC_ACQUIRE)) < least)
		syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static int share_ours(struct install *in, int *const keep[], size_t nr_keep)
{
	struct table_share *share = in->fds->share;
	size_t count = nr_keep + (log_fd() >= 0), at;

	at = __atomic_fetch_add(&share->nr_keep, (uint32_t)count, __ATOMIC_SEQ_CST);
	if (count > SHARE_KEEP_MAX || at > SHARE_KEEP_MAX - count)
		return log_ret(-EMFILE, "task %d: descriptors of the restore", in->task->pid);
	for (size_t i = 0; i < nr_keep; i++)
		share->keep[at++] = *keep[i];
	if (log_fd() >= 0)
		share->keep[at] = log_fd();
	__atomic_add_fetch(&share->arrived, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &share->arrived, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	if (in->fds->holder == in->task)
		futex_wait_for(&share->arrived, in->fds->nr_users);
	else
		futex_wait_for(&share->is_done, 1);
	return 0;
}

static void tell_done(struct table_share *share)
{
	__atomic_store_n(&share->is_done, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &share->is_done, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* ---- the end -----------------------------------------------------------------------------------
 */

static int post_open(struct install *in)
{
	for (size_t i = 0; i < in->fds->nr_slots; i++) {
		const struct fd_slot *slot = &in->fds->slots[i];
		struct file_node *node = slot->node;
		struct place *place = &in->places[node->index];
		int ret = 0;

		if (place->fd < 0)
			continue; /* done at its first number */
		if (node->object.ops->post_open)
			ret = node->object.ops->post_open(in->restore, &node->object, in->task,
							  slot->number, node->first == in->fds);
		if (ret)
			return ret;
		place->fd = -1;
	}
	return 0;
}

static int install(struct install *in, int *const keep[], size_t nr_keep)
{
	struct table_share *share = in->fds->share;
	int ret = keep_ours(keep, nr_keep, in->highest, share);

	if (!ret && share)
		ret = share_ours(in, keep, nr_keep);
	if (!ret && share && in->fds->holder != in->task)
		return 0;
	if (!ret)
		ret = find_places(in);
	if (!ret)
		ret = put_all(in);
	if (!ret)
		ret = close_others(in, keep, nr_keep);
	if (!ret)
		ret = put_late(in);
	if (!ret)
		ret = post_open(in);
	if (!ret && share)
		tell_done(share);
	return ret;
}

int files_install(struct restore *restore, struct task *task, int *const keep[], size_t nr_keep)
{
	struct install in = {
		.restore = restore,
		.task = task,
		.fds = file_table_of(restore->files, task),
		.highest = files_highest_number(restore, task),
	};
	scoped_free struct place *places = NULL;
	scoped_free struct by_fd *masters = NULL;
	int ret;

	if (!in.fds)
		return log_ret(-EINVAL, "task %d has no descriptor table", task->pid);
	ret = install(&in, keep, nr_keep);
	places = in.places;
	masters = in.masters;
	if (!ret)
		log_debug("task %d: %zu descriptors are in place", task->pid, in.fds->nr_slots);
	return ret;
}
