// SPDX-License-Identifier: GPL-2.0
/*
 * Terminals, restore side.
 *
 *   master     opened until it has the index of the image; settings, size and data go through it
 *   slave      the other side of its master; or, without one, with --shell-job, the terminal of our
 *              caller, opened again
 *   /dev/tty   opened late, in the task, when it has its controlling terminal
 *
 * The session's leader takes its terminal right after setsid(2) (ttys_take_controlling); the
 * foreground group is set when all groups are there.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kinds/families.h"
#include "kinds/own_fd.h"
#include "kinds/ttys/tty.h"
#include "kinds/ttys/ttys.h"
#include "tty.pb-c.h"
#include "util/log.h"
#include "util/scope.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
enum {
	MAX_INFOS = 1 << 16,
	MAX_INDEX = 1 << 16, /* masters opened on the way to an index */
	OPEN_FLAGS = O_ACCMODE | O_NONBLOCK,
	LARGE_FILE = 0100000, /* the kernel's O_LARGEFILE; 0 in our headers */
};

struct tty_table {
	TtyInfoEntry **infos;
	size_t nr_infos;
	TtyDataEntry **data;
	size_t nr_data;
};

static struct tty_table *table_of(const struct restore *restore)
{
	return *file_table_priv(restore->files, &tty_kind);
}

/* ---- plan ---------------------------------------------------------------- */

static int load(struct restore *restore, enum image_kind kind,
		const ProtobufCMessageDescriptor *type, ProtobufCMessage ***items, size_t *count)
{
	scoped_image struct image *img = NULL;
	ProtobufCMessage *msg, **more;
	int ret = image_open(restore->images, kind, 0, &img);

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	while ((ret = image_read(img, type, &msg)) > 0) {
		more = *count < MAX_INFOS ? realloc(*items, (*count + 1) * sizeof(*more)) : NULL;
		if (!more) {
			image_msg_free(msg);
			return -ENOMEM;
		}
		*items = more;
		more[(*count)++] = msg;
	}
	return ret;
}

static int tty_plan(struct restore *restore)
{
	struct tty_table *table = calloc(1, sizeof(*table));
	int ret;

	if (!table)
		return -ENOMEM;
	*file_table_priv(restore->files, &tty_kind) = table;
	ret = load(restore, IMG_TTY_INFO, &tty_info_entry__descriptor,
		   (ProtobufCMessage ***)&table->infos, &table->nr_infos);
	return ret
		       ?: load(restore, IMG_TTY_DATA, &tty_data_entry__descriptor,
			       (ProtobufCMessage ***)&table->data, &table->nr_data);
}

static const TtyInfoEntry *find_info(const struct restore *restore, uint32_t id)
{
	const struct tty_table *table = table_of(restore);

	for (size_t i = 0; i < table->nr_infos; i++) {
		if (table->infos[i]->id == id)
			return table->infos[i];
	}
	return NULL;
}

static const TtyInfoEntry *info_of(const struct restore *restore, const struct file_object *object)
{
	return find_info(restore, object->entry->tty->tty_info_id);
}

static dev_t rdev_of(const TtyInfoEntry *info)
{
	return makedev(info->rdev >> 8 & 0xfff, (info->rdev & 0xff) | (info->rdev >> 12 & 0xfff00));
}

static enum tty_type type_of(const TtyInfoEntry *info)
{
	if (info->type == TTY_TYPE__CTTY)
		return TTY_CONTROLLING;
	if (info->type != TTY_TYPE__PTY || !info->pty)
		return TTY_OTHER;
	return tty_type_of(rdev_of(info));
}

/* The master object of this index, or NULL. */
static struct file_object *find_master(const struct restore *restore, uint32_t index)
{
	struct file_object *object = NULL;

	while ((object = file_table_next(restore->files, object))) {
		const TtyInfoEntry *info;

		if (object->ops != &tty_kind)
			continue;
		info = info_of(restore, object);
		if (info && type_of(info) == TTY_MASTER && info->pty->index == index)
			return object;
	}
	return NULL;
}

/* Which of our own descriptors is the caller's terminal; -1: none. */
static int callers_terminal(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		struct stat st;

		if (!fstat(fd, &st) && S_ISCHR(st.st_mode) && isatty(fd))
			return fd;
	}
	return -1;
}

/* Only of a slave whose master is closed nothing is known. */
static bool is_hung_up(const TtyInfoEntry *info)
{
	return !info->termios;
}

static int tty_collect(struct restore *restore, struct file_object *object)
{
	const TtyInfoEntry *info = info_of(restore, object);
	enum tty_type type = info ? type_of(info) : TTY_OTHER;

	if (!info)
		return log_ret(-EBADMSG, "terminal %#x: tty-info.img has no %u", object->id,
			       object->entry->tty->tty_info_id);
	if (type == TTY_OTHER)
		return log_ret(-EOPNOTSUPP,
			       "terminal %#x: consoles and serial lines (type %d) are "
			       "not supported",
			       object->id, info->type);
	if (type != TTY_CONTROLLING && info->pty->index > MAX_INDEX)
		return log_ret(-EBADMSG, "terminal %#x: pty index %u", object->id,
			       info->pty->index);
	if (type != TTY_SLAVE || is_hung_up(info) || find_master(restore, info->pty->index))
		return 0;
	if (!restore->opts->shell_job)
		return log_ret(-EOPNOTSUPP,
			       "terminal %#x: pty %u has its master outside of the images; use "
			       "--shell-job to take our terminal instead",
			       object->id, info->pty->index);
	if (callers_terminal() < 0)
		return log_ret(-ENOTTY,
			       "terminal %#x: --shell-job, but none of our standard descriptors is "
			       "a terminal; call restore from one",
			       object->id);
	return 0;
}

static int tty_depends(struct restore *restore, struct file_object *object)
{
	const TtyInfoEntry *info = info_of(restore, object);
	const struct file_object *master;

	if (!info || type_of(info) != TTY_SLAVE)
		return 0;
	master = find_master(restore, info->pty->index);
	return master ? file_table_need(restore->files, object, master->id) : 0;
}

static bool tty_is_late(struct restore *restore, const struct file_object *object)
{
	const TtyInfoEntry *info = info_of(restore, object);

	return info && type_of(info) == TTY_CONTROLLING;
}

/* ---- masters ------------------------------------------------------------- */

/* Indices are given from below, so whoever is in the way is opened and let go. */
static int open_index(uint32_t index, int flags, int *fd)
{
	scoped_fd int master = open("/dev/ptmx", flags | O_NOCTTY | O_CLOEXEC);
	unsigned int got;

	if (master < 0)
		return -errno;
	if (ioctl(master, TIOCGPTN, &got))
		return -errno;
	if (got > index)
		return -EBUSY;
	if (got < index)
		return open_index(index, flags, fd);
	*fd = take_fd(&master);
	return 0;
}

static int put_data(const struct restore *restore, int master, uint32_t master_id, int *slave)
{
	const struct tty_table *table = table_of(restore);
	struct tty_bytes output = { 0 }, input = { 0 };

	for (size_t i = 0; i < table->nr_data; i++) {
		const TtyDataEntry *data = table->data[i];

		if (data->tty_id == master_id)
			output = (struct tty_bytes){ data->data.data, data->data.len };
		if (data->tty_id + 1 == master_id)
			input = (struct tty_bytes){ data->data.data, data->data.len };
	}
	if (!output.len && !input.len)
		return 0;
	/* Stays open until files are installed: the data is the open slave's. */
	*slave = tty_open_slave(master);
	return *slave < 0 ? *slave : tty_data_put(*slave, &output, &input);
}

static bool has_slave(const struct restore *restore, uint32_t index)
{
	struct file_object *object = NULL;

	while ((object = file_table_next(restore->files, object))) {
		const TtyInfoEntry *info =
			object->ops == &tty_kind ? info_of(restore, object) : NULL;

		if (info && type_of(info) == TTY_SLAVE && info->pty->index == index)
			return true;
	}
	return false;
}

/* As whoever opens it found it: unlocked for our own use, with its modes last. */
static int restore_master(const struct restore *restore, const struct file_object *object,
			  const TtyInfoEntry *info, int fd)
{
	int off = 0, on = 1, slave = -1;
	int ret = ioctl(fd, TIOCSPTLCK, &off) ? -errno : 0;

	ret = ret ?: put_data(restore, fd, info->id, &slave);
	if (slave >= 0 && !has_slave(restore, info->pty->index))
		close(slave);
	ret = ret ?: tty_settings_restore(fd, info, true);
	if (!ret && info->packet_mode && ioctl(fd, TIOCPKT, &on))
		ret = -errno;
	return ret ? log_ret(ret, "terminal %#x: settings of pty %u", object->id, info->pty->index)
		   : 0;
}

static int open_master(const struct restore *restore, const struct file_object *object,
		       const TtyInfoEntry *info, int *fd)
{
	scoped_fd int master = -1;
	int ret = open_index(info->pty->index, object->entry->tty->flags & OPEN_FLAGS, &master);

	if (ret == -EBUSY)
		return log_ret(ret, "terminal %#x: pty %u is in use on this host", object->id,
			       info->pty->index);
	if (ret)
		return log_ret(ret, "terminal %#x: open the master of pty %u", object->id,
			       info->pty->index);
	ret = restore_master(restore, object, info, master);
	if (!ret)
		*fd = take_fd(&master);
	return ret;
}

/* ---- slaves -------------------------------------------------------------- */

static int set_owner(struct restore *restore, const struct file_object *object,
		     const TtyInfoEntry *info, int fd)
{
	const TtyFileEntry *tty = object->entry->tty;
	const struct file_object *regular =
		tty->has_regf_id ? file_table_find(restore->files, tty->regf_id) : NULL;
	const RegFileEntry *reg = regular ? regular->entry->reg : NULL;

	if (info->has_uid && info->has_gid && fchown(fd, info->uid, info->gid))
		return -errno;
	if (reg && reg->has_mode && fchmod(fd, reg->mode & 07777))
		return -errno;
	return 0;
}

/* O_CLOEXEC would be seen among the file's own flags, so it is set afterwards; and open(2) sets
 * O_LARGEFILE where TIOCGPTPEER does not. */
static int open_peer(int master, uint32_t flags)
{
	scoped_fd int peer = ioctl(master, TIOCGPTPEER, (flags & OPEN_FLAGS) | O_NOCTTY);

	if (peer < 0 || fcntl(peer, F_SETFD, FD_CLOEXEC))
		return -1;
	if (!(flags & LARGE_FILE))
		return take_fd(&peer);
	return open(own_fd_path(peer).text, (flags & OPEN_FLAGS) | O_NOCTTY | O_CLOEXEC);
}

static int open_slave(struct restore *restore, const struct file_object *object,
		      const TtyInfoEntry *info, const struct file_object *master, int *fd)
{
	scoped_fd int slave = open_peer(master->master, object->entry->tty->flags);
	int ret, on = 1;

	if (slave < 0)
		return log_errno("terminal %#x: open the slave of pty %u", object->id,
				 info->pty->index);
	ret = set_owner(restore, object, info, slave);
	if (!ret && info->exclusive && ioctl(slave, TIOCEXCL, &on))
		ret = -errno;
	if (ret)
		return log_ret(ret, "terminal %#x: owner and mode of pty %u", object->id,
			       info->pty->index);
	*fd = take_fd(&slave);
	return 0;
}

/* Opened again and not duplicated: its O_NONBLOCK is not our caller's. The size is the new one's.
 */
static int open_callers(const struct file_object *object, const TtyInfoEntry *info, int *fd)
{
	int ours = callers_terminal(), ret;
	scoped_fd int again =
		ours < 0 ? -1
			 : open(own_fd_path(ours).text,
				(object->entry->tty->flags & OPEN_FLAGS) | O_NOCTTY | O_CLOEXEC);

	if (again < 0)
		return log_errno("terminal %#x: open our terminal again", object->id);
	ret = tty_settings_restore(again, info, false);
	if (ret)
		return log_ret(ret, "terminal %#x: settings of our terminal", object->id);
	log_info("terminal %#x: pty %u becomes the terminal of descriptor %d", object->id,
		 info->pty->index, ours);
	*fd = take_fd(&again);
	return 0;
}

static int open_hung_up(const struct file_object *object, int *fd)
{
	scoped_fd int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int off = 0;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &off))
		return log_errno("terminal %#x: open a pty", object->id);
	*fd = open_peer(master, object->entry->tty->flags);
	return *fd < 0 ? log_errno("terminal %#x: open the slave of a pty", object->id) : 0;
}

static int open_controlling(const struct file_object *object, int *fd)
{
	*fd = open("/dev/tty", (object->entry->tty->flags & OPEN_FLAGS) | O_NOCTTY | O_CLOEXEC);
	if (*fd < 0)
		return log_errno("terminal %#x: open /dev/tty", object->id);
	return 0;
}

static int tty_open(struct restore *restore, struct file_object *object, int *fd)
{
	const TtyInfoEntry *info = info_of(restore, object);
	const struct file_object *master;

	switch (type_of(info)) {
	case TTY_MASTER:
		return open_master(restore, object, info, fd);
	case TTY_CONTROLLING:
		return open_controlling(object, fd);
	default:
		if (is_hung_up(info))
			return open_hung_up(object, fd);
		master = find_master(restore, info->pty->index);
		return master ? open_slave(restore, object, info, master, fd)
			      : open_callers(object, info, fd);
	}
}

/* ---- in the tasks -------------------------------------------------------- */

/* The side of the session's terminal that the images have: a slave, else the master. */
static const struct file_object *find_session(const struct restore *restore, pid_t sid)
{
	struct file_object *object = NULL;
	const struct file_object *master = NULL;

	while ((object = file_table_next(restore->files, object))) {
		const TtyInfoEntry *info;

		if (object->ops != &tty_kind || object->master < 0)
			continue;
		info = info_of(restore, object);
		if ((pid_t)info->sid != sid)
			continue;
		if (type_of(info) == TTY_SLAVE && !is_hung_up(info))
			return object;
		if (type_of(info) == TTY_MASTER)
			master = object;
	}
	return master;
}

int ttys_take_controlling(const struct restore *restore, const struct task *task)
{
	const struct file_object *object = find_session(restore, task->pid);
	const TtyInfoEntry *info;
	scoped_fd int slave = -1;

	if (!object)
		return 0;
	info = info_of(restore, object);
	if (type_of(info) == TTY_MASTER) {
		/* Nobody has the slave open, but it is the session's terminal all the same. */
		slave = tty_open_slave(object->master);
		if (slave < 0)
			return log_ret(slave, "task %d: open the slave of pty %u", task->pid,
				       info->pty->index);
	}
	if (ioctl(slave >= 0 ? slave : object->master, TIOCSCTTY, 0))
		return log_errno("task %d: make pty %u its controlling terminal", task->pid,
				 info->pty->index);
	return 0;
}

static int set_foreground(int fd, pid_t group)
{
	sigset_t stop, before;
	int ret;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTTOU);
	sigprocmask(SIG_BLOCK, &stop, &before);
	ret = tcsetpgrp(fd, group) ? -errno : 0;
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ret;
}

static int tty_post_open(struct restore *restore, struct file_object *object,
			 const struct task *task, int fd, bool first)
{
	const TtyInfoEntry *info = info_of(restore, object);
	int on = 1, ret;

	if (type_of(info) == TTY_MASTER && first && info->locked && ioctl(fd, TIOCSPTLCK, &on))
		return log_errno("task %d: terminal %#x: lock", task->pid, object->id);
	if (type_of(info) != TTY_SLAVE || (pid_t)info->sid != task->pid || !info->pgrp)
		return 0;
	ret = set_foreground(fd, info->pgrp);
	if (ret)
		log_warn("task %d: terminal %#x: process group %u cannot be put in the "
			 "foreground: %s",
			 task->pid, object->id, info->pgrp, strerror(-ret));
	return 0;
}

static bool tty_detect(const struct fd_probe *probe)
{
	/* tty, console and ptmx; pts; virtual consoles and serial lines. */
	unsigned int number = major(probe->st.st_rdev);

	return S_ISCHR(probe->st.st_mode) && !(probe->flags & O_PATH) &&
	       (number == 4 || number == 5 || tty_type_of(probe->st.st_rdev) == TTY_SLAVE);
}

static const FownEntry *tty_fown(const struct file_object *object)
{
	return object->entry->tty->fown;
}

static void tty_fini(struct restore *restore)
{
	struct tty_table *table = table_of(restore);

	if (!table)
		return;
	for (size_t i = 0; i < table->nr_infos; i++)
		tty_info_entry__free_unpacked(table->infos[i], NULL);
	for (size_t i = 0; i < table->nr_data; i++)
		tty_data_entry__free_unpacked(table->data[i], NULL);
	free(table->infos);
	free(table->data);
	free(table);
}

const struct kind_ops tty_kind = {
	.name = "terminal",
	.type = FD_TYPES__TTY,
	.detect = tty_detect,
	.dump = tty_dump,
	.plan = tty_plan,
	.collect = tty_collect,
	.depends = tty_depends,
	.is_late = tty_is_late,
	.fown = tty_fown,
	.open = tty_open,
	.post_open = tty_post_open,
	.fini = tty_fini,
};
