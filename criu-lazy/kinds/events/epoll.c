// SPDX-License-Identifier: GPL-2.0
/*
 * epoll(7). An item's key is (open file, descriptor number at EPOLL_CTL_ADD), so:
 *
 * - the number may by now belong to something else, or to nothing, while the file is still open
 *   under another number. kcmp(KCMP_EPOLL_TFD) finds it. The image's tfd is where the file is; the
 *   number of the key is kept besides (`number`, an extension) when it differs.
 * - items are added by the task whose numbers they are (`pid`, an extension; without it the first
 *   holder), when all its descriptors are in place.
 *
 * Readiness is not state: adding an item asks its target. An edge-triggered item reports once more.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "kinds/events/fdinfo.h"
#include "kinds/families.h"
#include "kinds/fown.h"
#include "kinds/kind.h"
#include "kinds/own_fd.h"
#include "util/log.h"
#include "util/scope.h"

static bool epoll_detect(const struct fd_probe *probe)
{
	return !strcmp(probe->link, "anon_inode:[eventpoll]");
}

/* ---- dump ---------------------------------------------------------------- */

/* Is descriptor `number` of the probed task what the item watches? 1, 0 or a negative errno. */
static int is_target(const struct fd_probe *probe, const struct epoll_target *target, int number)
{
	struct kcmp_epoll_slot slot = {
		.efd = probe->fd,
		.tfd = target->number,
		.toff = target->nth,
	};
	long ret =
		syscall(SYS_kcmp, probe->task->host_pid, getpid(), KCMP_EPOLL_TFD, number, &slot);

	if (ret >= 0)
		return ret == 0;
	return errno == EBADF ? 0 : -errno;
}

/* The number under which the task has the item's file now; -ENOENT if it has none. */
static int find_target(const struct fd_probe *probe, const struct epoll_target *target)
{
	char path[40];
	const struct dirent *dent;
	int ret = is_target(probe, target, target->number);

	if (ret)
		return ret < 0 ? ret : (int)target->number;
	snprintf(path, sizeof(path), "/proc/%d/fd", probe->task->host_pid);
	scoped_dir DIR *dir = opendir(path);
	if (!dir)
		return -errno;
	while ((dent = readdir(dir))) {
		int number = atoi(dent->d_name);

		if (dent->d_name[0] == '.')
			continue;
		ret = is_target(probe, target, number);
		if (ret)
			return ret < 0 ? ret : number;
	}
	return -ENOENT;
}

static int dump_target(const struct fd_probe *probe, const struct epoll_target *target,
		       EventpollTfdEntry **out)
{
	EventpollTfdEntry *tfd;
	int number = find_target(probe, target);

	if (number == -ENOENT)
		return log_ret(-EOPNOTSUPP,
			       "task %d: fd %d: epoll watches a file added as descriptor %u, which "
			       "the task has closed but someone else still holds",
			       probe->task->pid, probe->number, target->number);
	if (number < 0)
		return log_ret(number, "task %d: fd %d: epoll: compare target %u with kcmp(2)",
			       probe->task->pid, probe->number, target->number);
	tfd = message_new(EventpollTfdEntry, eventpoll_tfd_entry);
	if (!tfd)
		return -ENOMEM;
	*out = tfd;
	tfd->tfd = number;
	tfd->events = target->events;
	tfd->data = target->data;
	tfd->has_dev = tfd->has_inode = tfd->has_pos = true;
	tfd->dev = target->dev;
	tfd->inode = target->inode;
	tfd->pos = target->pos;
	tfd->has_number = (uint32_t)number != target->number;
	tfd->number = target->number;
	return 0;
}

static int dump_targets(const struct fd_probe *probe, EventpollFileEntry *epfd)
{
	scoped_free struct epoll_target *targets = NULL;
	size_t count;
	int ret = fdinfo_parse_epoll(probe->fdinfo, &targets, &count);

	if (ret)
		return log_ret(ret, "task %d: fd %d: epoll targets in fdinfo", probe->task->pid,
			       probe->number);
	if (!count)
		return 0;
	epfd->tfd = calloc(count, sizeof(epfd->tfd[0]));
	if (!epfd->tfd)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		ret = dump_target(probe, &targets[i], &epfd->tfd[i]);
		if (ret)
			return ret;
		epfd->n_tfd++;
	}
	return 0;
}

static int epoll_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	EventpollFileEntry *epfd;
	int ret;

	/* Items are added where descriptors have their numbers; here nobody holds it. */
	if (probe->number < 0)
		return log_ret(-EOPNOTSUPP, "task %d: an epoll is in flight in a socket's queue",
			       probe->task->pid);
	epfd = message_new(EventpollFileEntry, eventpoll_file_entry);
	if (!epfd)
		return -ENOMEM;
	entry->epfd = epfd;
	epfd->id = entry->id;
	epfd->flags = probe->flags;
	ret = fown_dump(dump, probe, &epfd->fown);
	if (ret)
		return ret;
	epfd->has_pid = true;
	epfd->pid = probe->task->pid;
	return dump_targets(probe, epfd);
}

/* ---- restore ------------------------------------------------------------- */

static int epoll_open(struct restore *restore, struct file_object *object, int *fd)
{
	scoped_fd int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0)
		return log_errno("epoll %#x: create", object->id);
	if (own_fd_set_flags(epoll, object->entry->epfd->flags))
		return log_errno("epoll %#x: set flags %#x", object->id,
				 object->entry->epfd->flags);
	*fd = take_fd(&epoll);
	return 0;
}

/* Runs epoll_ctl with the target's file at descriptor `number`, which is put back afterwards. */
static int add_as(int epoll, int target, int number, struct epoll_event *event)
{
	int saved_flags = fcntl(number, F_GETFD), ret;
	scoped_fd int saved = fcntl(number, F_DUPFD_CLOEXEC, 0);

	if (dup2(target, number) < 0)
		return -errno;
	ret = epoll_ctl(epoll, EPOLL_CTL_ADD, number, event) ? -errno : 0;
	if (saved < 0)
		close(number);
	else if (dup3(saved, number, saved_flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
		return -errno;
	return ret;
}

static int add_target(int epoll, const EventpollTfdEntry *tfd)
{
	struct epoll_event event = { .events = tfd->events, .data.u64 = tfd->data };

	if (tfd->has_number && tfd->number != tfd->tfd)
		return add_as(epoll, tfd->tfd, tfd->number, &event);
	return epoll_ctl(epoll, EPOLL_CTL_ADD, tfd->tfd, &event) ? -errno : 0;
}

static int epoll_add_targets(struct restore *restore, struct file_object *object,
			     const struct task *task, int fd, bool first)
{
	const EventpollFileEntry *epfd = object->entry->epfd;

	if (epfd->has_pid ? (pid_t)epfd->pid != task->pid : !first)
		return 0;
	for (size_t i = 0; i < epfd->n_tfd; i++) {
		int ret = add_target(fd, epfd->tfd[i]);

		/* A holder with several numbers is called for each of them. */
		if (ret && ret != -EEXIST)
			return log_ret(ret, "task %d: epoll %#x: add descriptor %u", task->pid,
				       object->id, epfd->tfd[i]->tfd);
	}
	return 0;
}

static const FownEntry *epoll_fown(const struct file_object *object)
{
	return object->entry->epfd->fown;
}

const struct kind_ops epoll_kind = {
	.name = "epoll",
	.type = FD_TYPES__EVENTPOLL,
	.detect = epoll_detect,
	.dump = epoll_dump,
	.fown = epoll_fown,
	.open = epoll_open,
	.post_open = epoll_add_targets,
};
