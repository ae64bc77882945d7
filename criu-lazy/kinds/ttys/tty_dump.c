// SPDX-License-Identifier: GPL-2.0
/*
 * Terminals, dump side. Which masters the tree holds is looked up once, at the first terminal: a
 * slave without one belongs to a terminal outside, which only --shell-job can bring back. Unread
 * data is taken when the master is dumped, and put back if the tree lives on.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kinds/families.h"
#include "kinds/fown.h"
#include "kinds/ttys/tty.h"
#include "tty.pb-c.h"
#include "util/log.h"
#include "util/text.h"

enum {
	PTY_MAJOR = 136,
	PTY_MAJORS = 8,
	PTY_MINORS = 1 << 20,
	/* Ids of tty_info: two per index; CRIU's number of /dev/tty is among those of high indices.
	 */
	COMMON_INDICES = 1000,
	CONTROLLING_ID = 2012,
	HIGH_INDEX_OFFSET = 1100,
};
/* Columns of the kind's slots. */
enum { SLOT_SCANNED, SLOT_MASTER, SLOT_INFO };

enum tty_type tty_type_of(dev_t rdev)
{
	unsigned int number = major(rdev);

	if (number >= PTY_MAJOR && number < PTY_MAJOR + PTY_MAJORS)
		return TTY_SLAVE;
	if (number == 5 && minor(rdev) == 2)
		return TTY_MASTER;
	if (number == 5 && minor(rdev) == 0)
		return TTY_CONTROLLING;
	return TTY_OTHER;
}

static uint32_t slot_value(struct dump *dump, uint64_t key, uint64_t column)
{
	return files_dump_get(dump, &tty_kind, key, column);
}

static int mark(struct dump *dump, uint64_t key, uint64_t column)
{
	return files_dump_set(dump, &tty_kind, key, column, 1);
}

/* ---- which masters there are --------------------------------------------- */

static int note_master(struct dump *dump, const struct task *task, const char *number,
		       const char *link)
{
	size_t len = strlen(link);
	scoped_text struct text info = { 0 };
	const char *line;
	char path[300];

	if (len < 4 || strcmp(link + len - 4, "ptmx"))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", task->host_pid, number);
	if (text_read_at(AT_FDCWD, path, &info))
		return 0;
	line = strstr(info.data, "tty-index:");
	return line ? mark(dump, strtoul(line + strlen("tty-index:"), NULL, 10), SLOT_MASTER) : 0;
}

static int scan_once(struct dump *dump)
{
	if (slot_value(dump, 0, SLOT_SCANNED))
		return 0;
	return files_dump_each_link(dump, note_master) ?: mark(dump, 0, SLOT_SCANNED);
}

/* ---- whose terminal it is ------------------------------------------------ */

/* proc(5): tty_nr of stat has the minor's low byte, the major, and the minor's rest. */
static dev_t decode_tty(unsigned int number)
{
	return makedev(number >> 8 & 0xfff, (number & 0xff) | (number >> 12 & 0xfff00));
}

struct owner {
	int32_t sid, pgrp; /* 0: nobody's */
};

/* TIOCGSID and TIOCGPGRP of a slave only work for its own session, /proc tells all. */
static struct owner find_owner(const struct dump *dump, const struct task *only, dev_t rdev)
{
	const struct task *task;

	tree_for_each (task, &dump->tree) {
		scoped_text struct text stat = { 0 };
		const char *rest;
		char path[40];
		int sid, tty, pgrp;

		if (only && task != only)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/stat", task->host_pid);
		if (text_read_at(AT_FDCWD, path, &stat))
			continue;
		rest = strrchr(stat.data, ')');
		if (!rest || sscanf(rest, ") %*c %*d %*d %d %d %d", &sid, &tty, &pgrp) != 3 || !tty)
			continue;
		if (only || decode_tty(tty) == rdev)
			return (struct owner){ .sid = task->sid, .pgrp = pgrp > 0 ? pgrp : 0 };
	}
	return (struct owner){ 0 };
}

/* ---- tty_info ------------------------------------------------------------ */

static uint32_t info_id(enum tty_type type, uint32_t index)
{
	if (type == TTY_CONTROLLING)
		return CONTROLLING_ID;
	if (index >= COMMON_INDICES)
		index += HIGH_INDEX_OFFSET;
	return index * 2 + (type == TTY_MASTER);
}

static int pty_index(const struct fd_probe *probe, enum tty_type type, uint32_t *index)
{
	unsigned int number = 0;

	if (type == TTY_MASTER && ioctl(probe->fd, TIOCGPTN, &number))
		return -errno;
	*index = type == TTY_MASTER ? number : minor(probe->st.st_rdev);
	return 0;
}

/* Its master was closed: nothing can be asked or done any more. */
static bool is_hung_up(const struct fd_probe *probe)
{
	struct winsize size;

	return ioctl(probe->fd, TIOCGWINSZ, &size) && errno == EIO;
}

static int fill_info(const struct dump *dump, const struct fd_probe *probe, enum tty_type type,
		     uint32_t index, TtyInfoEntry *info)
{
	dev_t slave = makedev(PTY_MAJOR + index / PTY_MINORS, index % PTY_MINORS);
	struct owner owner = find_owner(dump, type == TTY_CONTROLLING ? probe->task : NULL, slave);

	info->type = type == TTY_CONTROLLING ? TTY_TYPE__CTTY : TTY_TYPE__PTY;
	info->sid = owner.sid;
	info->pgrp = owner.pgrp;
	info->rdev = major(probe->st.st_rdev) << 8 | (minor(probe->st.st_rdev) & 0xff) |
		     (minor(probe->st.st_rdev) & ~0xffu) << 12;
	info->has_dev = info->has_uid = info->has_gid = true;
	info->dev = probe->st.st_dev;
	info->uid = probe->st.st_uid;
	info->gid = probe->st.st_gid;
	if (type != TTY_CONTROLLING) {
		info->pty = message_new(TtyPtyEntry, tty_pty_entry);
		if (!info->pty)
			return -ENOMEM;
		info->pty->index = index;
	}
	return is_hung_up(probe) ? 0 : tty_settings_dump(probe->fd, type == TTY_MASTER, info);
}

static int write_info(struct dump *dump, const struct fd_probe *probe, enum tty_type type,
		      uint32_t index, uint32_t id)
{
	TtyInfoEntry *info;
	struct image *img;
	int ret;

	if (slot_value(dump, id, SLOT_INFO))
		return 0;
	info = message_new(TtyInfoEntry, tty_info_entry);
	if (!info)
		return -ENOMEM;
	info->id = id;
	ret = fill_info(dump, probe, type, index, info);
	if (ret)
		ret = log_ret(ret, "task %d: fd %d: settings of terminal %s", probe->task->pid,
			      probe->number, probe->link);
	ret = ret ?: files_dump_image(dump, IMG_TTY_INFO, &img);
	ret = ret ?: image_write(img, &info->base);
	tty_info_entry__free_unpacked(info, NULL);
	return ret ?: mark(dump, id, SLOT_INFO);
}

/* ---- data ---------------------------------------------------------------- */

struct taken {
	struct dump *dump;
	int master, slave;
	struct tty_bytes output, input;
};

static void undo_take(void *arg, bool failed)
{
	struct taken *taken = arg;
	int ret;

	if (failed || taken->dump->opts->final_state != FINAL_KILL) {
		ret = tty_data_put(taken->slave, &taken->output, &taken->input);
		if (ret)
			log_ret(ret, "terminal: put back %zu and %zu bytes of unread data",
				taken->output.len, taken->input.len);
	}
	close(taken->master);
	close(taken->slave);
	free(taken->output.data);
	free(taken->input.data);
	free(taken);
}

static int write_data(struct dump *dump, uint32_t id, const struct tty_bytes *bytes)
{
	TtyDataEntry entry = TTY_DATA_ENTRY__INIT;
	struct image *img;

	if (!bytes->len)
		return 0;
	entry.tty_id = id;
	entry.data.data = bytes->data;
	entry.data.len = bytes->len;
	return files_dump_image(dump, IMG_TTY_DATA, &img) ?: image_write(img, &entry.base);
}

static int dump_data(struct dump *dump, const struct fd_probe *probe, uint32_t index)
{
	struct taken *taken = calloc(1, sizeof(*taken));
	int ret;

	if (!taken)
		return -ENOMEM;
	taken->dump = dump;
	taken->slave = tty_open_slave(probe->fd);
	taken->master = fcntl(probe->fd, F_DUPFD_CLOEXEC, 0);
	if (taken->slave < 0 || taken->master < 0) {
		/* A locked pty was never used. */
		ret = taken->slave == -EIO ? 0 : taken->slave < 0 ? taken->slave : -EMFILE;
		if (taken->slave >= 0)
			close(taken->slave);
		if (taken->master >= 0)
			close(taken->master);
		free(taken);
		return ret ? log_ret(ret, "task %d: fd %d: open the slave of pty %u",
				     probe->task->pid, probe->number, index)
			   : 0;
	}
	ret = undo_push(&dump->undo, undo_take, taken);
	if (ret)
		return ret;
	ret = tty_data_take(taken->master, taken->slave, &taken->output, &taken->input);
	if (ret)
		return log_ret(ret, "task %d: fd %d: read what is unread in pty %u",
			       probe->task->pid, probe->number, index);
	ret = write_data(dump, info_id(TTY_MASTER, index), &taken->output);
	return ret ?: write_data(dump, info_id(TTY_SLAVE, index), &taken->input);
}

/* ---- the file ------------------------------------------------------------ */

/* CRIU opens terminals by the path of a regular file entry besides. */
static int write_path(struct dump *dump, const struct fd_probe *probe, uint32_t *id)
{
	FownEntry fown = FOWN_ENTRY__INIT;
	RegFileEntry reg = REG_FILE_ENTRY__INIT;
	FileEntry entry = FILE_ENTRY__INIT;

	*id = files_dump_new_id(dump);
	entry.type = FD_TYPES__REG;
	entry.id = reg.id = *id;
	entry.reg = &reg;
	reg.flags = probe->flags;
	reg.fown = &fown;
	reg.name = (char *)probe->link;
	reg.has_mode = true;
	reg.mode = probe->st.st_mode;
	return files_dump_entry(dump, &entry);
}

static int check(struct dump *dump, const struct fd_probe *probe, enum tty_type type,
		 uint32_t index)
{
	bool is_outside =
		type == TTY_SLAVE && !is_hung_up(probe) && !slot_value(dump, index, SLOT_MASTER);

	if (type == TTY_OTHER)
		return log_ret(-EOPNOTSUPP,
			       "task %d: fd %d: %s is a console or serial line, which cannot be "
			       "dumped; redirect it to a file or a pty",
			       probe->task->pid, probe->number, probe->link);
	if (is_outside && !dump->opts->shell_job)
		return log_ret(-EOPNOTSUPP,
			       "task %d: fd %d: terminal %s has its master outside of the tree. "
			       "Consider using --shell-job option",
			       probe->task->pid, probe->number, probe->link);
	return 0;
}

int tty_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	enum tty_type type = tty_type_of(probe->st.st_rdev);
	uint32_t index = 0, regular = 0;
	TtyFileEntry *tty;
	int ret = scan_once(dump);

	ret = ret ?: pty_index(probe, type, &index);
	if (ret)
		return log_ret(ret, "task %d: fd %d: terminal %s", probe->task->pid, probe->number,
			       probe->link);
	ret = check(dump, probe, type, index);
	ret = ret ?: write_info(dump, probe, type, index, info_id(type, index));
	if (!ret && type == TTY_MASTER)
		ret = dump_data(dump, probe, index);
	ret = ret ?: write_path(dump, probe, &regular);
	if (ret)
		return ret;
	tty = message_new(TtyFileEntry, tty_file_entry);
	if (!tty)
		return -ENOMEM;
	entry->tty = tty;
	tty->id = entry->id;
	tty->tty_info_id = info_id(type, index);
	tty->flags = probe->flags;
	tty->has_regf_id = true;
	tty->regf_id = regular;
	return fown_dump(dump, probe, &tty->fown);
}
