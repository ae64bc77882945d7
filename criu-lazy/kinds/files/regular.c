// SPDX-License-Identifier: GPL-2.0
/* Files opened by a path: regular files, directories, devices without state, O_PATH descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kinds/external.h"
#include "kinds/files/build_id.h"
#include "kinds/files/regular.h"
#include "kinds/fown.h"
#include "util/log.h"
#include "util/scope.h"

enum { EXTERNAL_KEY_BYTES = 64 };

/* ---- dump ---------------------------------------------------------------------- */

/* Devices of the memory major whose descriptors hold no more than a position. */
static bool is_plain_device(const struct fd_probe *probe)
{
	unsigned int number = minor(probe->st.st_rdev);

	if (S_ISBLK(probe->st.st_mode))
		return true;
	if (major(probe->st.st_rdev) != 1)
		return false;
	/* mem, null, port, zero, full, random, urandom; kmsg when nothing is read from it */
	if (number == 11)
		return (probe->flags & O_ACCMODE) == O_WRONLY;
	return number == 1 || (number >= 3 && number <= 5) || (number >= 7 && number <= 9);
}

/* Files that look like paths but live nowhere. */
static bool is_nowhere(const char *link)
{
	return !strncmp(link, "/memfd:", 7) || !strncmp(link, "/SYSV", 5) ||
	       !strncmp(link, "/anon_hugepage", 14) || !strncmp(link, "/[aio]", 6);
}

/* Anonymous shared memory, by /proc/PID/map_files: it looks like a deleted file of that name. */
static bool is_shared_memory(const struct fd_probe *probe)
{
	return S_ISREG(probe->st.st_mode) && !strcmp(probe->link, "/dev/zero (deleted)");
}

static bool regular_detect(const struct fd_probe *probe)
{
	if (probe->link[0] != '/' || is_nowhere(probe->link) || is_shared_memory(probe))
		return false;
	if (probe->flags & O_PATH)
		return true;
	switch (probe->st.st_mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
		return true;
	case S_IFCHR:
	case S_IFBLK:
		return is_plain_device(probe);
	default:
		return false;
	}
}

/* A file named by --external file[MNT:INODE] is the business of who restores. */
static int external_key(struct dump *dump, const struct fd_probe *probe, RegFileEntry *reg)
{
	char key[EXTERNAL_KEY_BYTES];

	snprintf(key, sizeof(key), "file[%x:%" PRIx64 "]", (unsigned int)probe->mnt_id,
		 (uint64_t)probe->st.st_ino);
	if (!external_is_named(dump->opts, key))
		return 0;
	reg->name = strdup(key);
	reg->has_ext = reg->ext = true;
	return reg->name ? 0 : log_ret(-ENOMEM, "%s", probe->link);
}

static int dump_path(struct dump *dump, const struct fd_probe *probe, RegFileEntry *reg)
{
	enum path_state state;
	int ret = path_check(probe, &reg->name, &state);

	if (ret || state == PATH_RIGHT)
		return ret;
	if (state == PATH_DEAD_PROC)
		return remap_dump_dead_proc(dump, reg->id, regular_proc_pid(reg->name));
	if (state == PATH_NO_NAME)
		return remap_dump_ghost(dump, probe, reg->id, reg->name);
	return remap_dump_link(dump, probe, reg->id, reg->name);
}

/* Of programs and libraries that are mapped: their text is not in the images. */
static int dump_build_id(const struct fd_probe *probe, RegFileEntry *reg)
{
	uint32_t words[BUILD_ID_WORDS];
	scoped_fd int fd = -1;
	char path[64];
	size_t count;
	int ret;

	if (probe->number >= 0 || !S_ISREG(probe->st.st_mode) || !probe->st.st_size)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", probe->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0; /* then it is told by its size alone */
	ret = build_id_read(fd, words, &count);
	if (ret)
		return log_ret(ret, "task %d: build id of %s", probe->task->pid, probe->link);
	if (!count)
		return 0;
	reg->build_id = malloc(count * sizeof(*words));
	if (!reg->build_id)
		return log_ret(-ENOMEM, "%s", probe->link);
	memcpy(reg->build_id, words, count * sizeof(*words));
	reg->n_build_id = count;
	return 0;
}

int regular_dump_entry(struct dump *dump, const struct fd_probe *probe, uint32_t id,
		       RegFileEntry **out)
{
	RegFileEntry *reg = message_new(RegFileEntry, reg_file_entry);
	int ret;

	if (!reg)
		return log_ret(-ENOMEM, "%s", probe->link);
	reg->name = NULL;
	reg->id = id;
	reg->flags = probe->flags;
	reg->pos = probe->pos;
	reg->has_size = S_ISREG(probe->st.st_mode);
	reg->size = reg->has_size ? (uint64_t)probe->st.st_size : 0;
	reg->has_mode = true;
	reg->mode = probe->st.st_mode;
	ret = fown_dump(dump, probe, &reg->fown);
	if (!ret)
		ret = dump_build_id(probe, reg);
	if (!ret)
		ret = external_key(dump, probe, reg);
	if (!ret && !reg->name)
		ret = dump_path(dump, probe, reg);
	if (ret) {
		reg_file_entry__free_unpacked(reg, NULL);
		return ret;
	}
	*out = reg;
	return 0;
}

static int regular_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	return regular_dump_entry(dump, probe, entry->id, &entry->reg);
}

/* ---- restore --------------------------------------------------------------------- */

static struct remaps *remaps_of(struct restore *restore)
{
	return *file_table_priv(restore->files, &regular_kind);
}

static int regular_plan(struct restore *restore)
{
	struct remaps *remaps;
	int ret = remaps_plan(restore, &remaps);

	if (!ret)
		*file_table_priv(restore->files, &regular_kind) = remaps;
	return ret;
}

/* Is the file as it was? What the image does not tell is not asked. */
static int check_same(const struct restore *restore, const RegFileEntry *reg, const struct stat *st)
{
	mode_t mask = restore->opts->skip_file_rwx_check ? (mode_t) ~(S_IRWXU | S_IRWXG | S_IRWXO)
							 : (mode_t)~0;

	if (reg->has_size && (uint64_t)st->st_size != reg->size)
		return log_ret(-ESTALE,
			       "file %u: %s has bad size %" PRIu64 " (expected %" PRIu64 ")",
			       reg->id, reg->name, (uint64_t)st->st_size, reg->size);
	if (reg->has_mode && (st->st_mode & mask) != (reg->mode & mask))
		return log_ret(-ESTALE,
			       "file %u: %s has bad mode 0%o (expected 0%o); --skip-file-rwx-check "
			       "leaves permissions aside",
			       reg->id, reg->name, st->st_mode, reg->mode);
	return 0;
}

static int check_build_id(const struct restore *restore, const RegFileEntry *reg)
{
	const char *how = restore->opts->file_validation;
	uint32_t words[BUILD_ID_WORDS];
	scoped_fd int fd = -1;
	size_t count;
	int ret;

	if (!reg->n_build_id || !S_ISREG(reg->mode) || (how && !strcmp(how, "filesize")))
		return 0;
	fd = open(reg->name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ret = fd < 0 ? -errno : build_id_read(fd, words, &count);
	if (ret)
		return log_ret(ret, "file %u: build id of %s", reg->id, reg->name);
	if (count != reg->n_build_id || memcmp(words, reg->build_id, count * sizeof(*words)))
		return log_ret(-ESTALE,
			       "file %u: %s is another build than at the dump (build id); restore "
			       "with the old one, or with --file-validation=filesize at your risk",
			       reg->id, reg->name);
	return 0;
}

static bool in_tree(const struct restore *restore, pid_t pid)
{
	const struct task *task;

	tree_for_each (task, &restore->tree) {
		if (task->pid == pid)
			return true;
		for (size_t i = 0; i < task->nr_threads; i++) {
			if (task->threads[i].tid == pid)
				return true;
		}
	}
	return false;
}

static bool regular_is_late(struct restore *restore, const struct file_object *object)
{
	pid_t pid = regular_proc_pid(object->entry->reg->name);

	return pid && !remaps_have_dead_pid(remaps_of(restore), pid) && in_tree(restore, pid);
}

static int check_dead_proc(struct restore *restore, const RegFileEntry *reg, pid_t pid)
{
	if (!in_tree(restore, pid))
		return 0;
	return log_ret(-EOPNOTSUPP,
		       "file %u: %s belongs to a process that was gone, and its pid is used again",
		       reg->id, reg->name);
}

static bool is_inherited(const struct restore *restore, const RegFileEntry *reg)
{
	return inherit_fd_has(restore, reg->name);
}

static int check_reg(struct file_object *object, const RegFileEntry *reg)
{
	if (reg->id != object->id)
		return log_ret(-EBADMSG, "file %u: its entry says id %u", object->id, reg->id);
	if (reg->has_ext && reg->ext)
		return 0;
	if (reg->name[0] != '/')
		return log_ret(-EBADMSG, "file %u: \"%s\" is no absolute path", object->id,
			       reg->name);
	return 0;
}

/* The path of a terminal, which is opened by its own kind; pts files come with their master. */
static bool is_terminal_path(const struct file_object *object)
{
	const RegFileEntry *reg = object->entry->reg;

	return reg->has_mode && S_ISCHR(reg->mode) && !file_object_is_held(object) &&
	       (!strncmp(reg->name, "/dev/pts/", 9) || !strncmp(reg->name, "/dev/tty", 8));
}

/* Missing and changed files are told before anything is forked. */
static int regular_collect(struct restore *restore, struct file_object *object)
{
	const RegFileEntry *reg = object->entry->reg;
	struct stat st;
	int ret;

	ret = check_reg(object, reg);
	if (ret || is_inherited(restore, reg))
		return ret;
	if (reg->has_ext && reg->ext)
		return log_ret(-ENOENT, "file %u: %s is external: give --inherit-fd fd[N]:%s",
			       object->id, reg->name, reg->name);
	if (remaps_have_dead_pid(remaps_of(restore), regular_proc_pid(reg->name)))
		return check_dead_proc(restore, reg, regular_proc_pid(reg->name));
	if (remap_find(remaps_of(restore), object->id) || regular_is_late(restore, object) ||
	    is_terminal_path(object))
		return 0;
	if (lstat(reg->name, &st))
		return log_errno("file %u: %s", object->id, reg->name);
	ret = check_same(restore, reg, &st);
	return ret ? ret : check_build_id(restore, reg);
}

static int regular_prepare(struct restore *restore)
{
	struct remaps *remaps = remaps_of(restore);

	return remaps ? remaps_make(restore, remaps) : 0;
}

static int open_by_name(struct restore *restore, const RegFileEntry *reg, int flags, int *out)
{
	struct remap *remap = remap_find(remaps_of(restore), reg->id);
	pid_t pid = regular_proc_pid(reg->name);
	scoped_fd int fd = -1;
	struct stat st;
	int ret;

	ret = inherit_fd_open(restore, reg->name, out);
	if (ret != -ENOENT)
		return ret;
	if (pid && remaps_have_dead_pid(remaps_of(restore), pid))
		return dead_proc_open(pid, reg->name, flags, out);
	if (remap) {
		ret = remap_open(remap, reg->name, flags, &fd);
		if (ret)
			return ret;
	} else {
		fd = open(reg->name, flags);
		if (fd < 0)
			return log_errno("file %u: open %s with flags 0%o", reg->id, reg->name,
					 flags);
	}
	if (fstat(fd, &st))
		return log_errno("file %u: stat %s", reg->id, reg->name);
	/* A ghost has no more than its image gave it, and a /proc file no size of its own. */
	if (!remap) {
		ret = check_same(restore, reg, &st);
		if (ret)
			return ret;
	}
	*out = take_fd(&fd);
	return 0;
}

static int set_position(const RegFileEntry *reg, int fd)
{
	if (!reg->pos || (reg->flags & O_PATH))
		return 0;
	if (lseek(fd, (off_t)reg->pos, SEEK_SET) < 0 && errno != ESPIPE)
		return log_errno("file %u: %s: seek to %" PRIu64, reg->id, reg->name, reg->pos);
	return 0;
}

static int regular_open(struct restore *restore, struct file_object *object, int *out)
{
	const RegFileEntry *reg = object->entry->reg;
	scoped_fd int fd = -1;
	int ret;

	ret = open_by_name(restore, reg, regular_open_flags(reg->flags, reg->mode), &fd);
	if (!ret && !(reg->has_ext && reg->ext))
		ret = set_position(reg, fd);
	if (!ret)
		*out = take_fd(&fd);
	return ret;
}

static int regular_reopen(struct restore *restore, struct file_object *object, int flags, int *fd)
{
	const RegFileEntry *reg = object->entry->reg;

	if (flags < 0)
		return regular_open(restore, object, fd);
	return open_by_name(restore, reg, flags | O_CLOEXEC | O_NOCTTY, fd);
}

int files_chdir(struct restore *restore, uint32_t id, int fd)
{
	struct file_object *object = file_table_find(restore->files, id);
	const RegFileEntry *reg = object ? object->entry->reg : NULL;
	pid_t pid = reg ? regular_proc_pid(reg->name) : 0;

	if (pid && remaps_have_dead_pid(remaps_of(restore), pid))
		return dead_proc_chdir(pid, reg->name);
	return fchdir(fd) ? log_errno("file %u: working directory", id) : 0;
}

static const FownEntry *regular_fown(const struct file_object *object)
{
	return object->entry->reg->fown;
}

static void regular_finish(struct restore *restore, bool failed)
{
	struct remaps *remaps = remaps_of(restore);

	if (remaps)
		remaps_finish(remaps, failed);
}

static void regular_fini(struct restore *restore)
{
	remaps_free(remaps_of(restore));
}

const struct kind_ops regular_kind = {
	.name = "regular file",
	.type = FD_TYPES__REG,
	.detect = regular_detect,
	.dump = regular_dump,
	.plan = regular_plan,
	.collect = regular_collect,
	.prepare = regular_prepare,
	.is_late = regular_is_late,
	.open = regular_open,
	.reopen = regular_reopen,
	.fown = regular_fown,
	.finish = regular_finish,
	.fini = regular_fini,
};
