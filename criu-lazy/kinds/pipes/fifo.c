// SPDX-License-Identifier: GPL-2.0
/*
 * Named pipes. The name and flags are a regular file's entry (regf_id), written before; pipe_id
 * joins the descriptions of one inode. All of a group are opened while an end for both directions
 * is held, so that none waits for a partner and the data stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kinds/families.h"
#include "kinds/files/regular.h"
#include "kinds/pipes/data.h"
#include "kinds/pipes/groups.h"
#include "util/log.h"
#include "util/scope.h"

struct fifos {
	struct pipe_groups groups;
	struct pipe_data *data;
};

static bool fifo_detect(const struct fd_probe *probe)
{
	return S_ISFIFO(probe->st.st_mode) && probe->link[0] == '/' && !(probe->flags & O_PATH);
}

static int dump_name(struct dump *dump, const struct fd_probe *probe, uint32_t id)
{
	FileEntry *entry = message_new(FileEntry, file_entry);
	int ret;

	if (!entry)
		return log_ret(-ENOMEM, "%s", probe->link);
	entry->type = FD_TYPES__REG;
	entry->id = id;
	ret = regular_dump_entry(dump, probe, id, &entry->reg);
	if (!ret)
		ret = files_dump_entry(dump, entry);
	file_entry__free_unpacked(entry, NULL);
	return ret;
}

static int fifo_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	static const char owner;
	uint32_t *pipe_id = files_dump_slot(dump, &owner, probe->st.st_dev, probe->st.st_ino);
	FifoEntry *fifo = message_new(FifoEntry, fifo_entry);
	int ret;

	entry->fifo = fifo;
	if (!fifo || !pipe_id)
		return log_ret(-ENOMEM, "%s", probe->link);
	/* Inodes of two devices may be equal: the first object's id is unique as well. */
	if (!*pipe_id)
		*pipe_id = entry->id;
	fifo->id = entry->id;
	fifo->pipe_id = *pipe_id;
	fifo->has_regf_id = true;
	fifo->regf_id = files_dump_new_id(dump);
	ret = dump_name(dump, probe, fifo->regf_id);
	return ret ? ret : pipe_data_dump(dump, probe, IMG_FIFO_DATA, fifo->pipe_id);
}

static uint32_t pipe_id_of(const struct file_object *object)
{
	return object->entry->fifo->pipe_id;
}

static struct fifos *fifos_of(struct restore *restore)
{
	return *file_table_priv(restore->files, &fifo_kind);
}

static void fifo_fini(struct restore *restore)
{
	struct fifos *fifos = fifos_of(restore);

	if (!fifos)
		return;
	pipe_groups_fini(&fifos->groups);
	pipe_data_free(fifos->data);
	free(fifos);
}

static int fifo_plan(struct restore *restore)
{
	struct fifos *fifos = calloc(1, sizeof(*fifos));
	int ret;

	if (!fifos)
		return log_ret(-ENOMEM, "fifos");
	*file_table_priv(restore->files, &fifo_kind) = fifos;
	ret = pipe_data_plan(restore, IMG_FIFO_DATA, &fifos->data);
	if (!ret)
		ret = pipe_groups_init(&fifos->groups, restore->files, &fifo_kind, pipe_id_of);
	if (ret) {
		fifo_fini(restore);
		*file_table_priv(restore->files, &fifo_kind) = NULL;
	}
	return ret;
}

static const RegFileEntry *reg_of(struct restore *restore, const struct file_object *object)
{
	const FifoEntry *fifo = object->entry->fifo;
	struct file_object *reg = NULL;

	if (fifo->has_regf_id)
		reg = file_table_find(restore->files, fifo->regf_id);
	return reg && reg->entry->type == FD_TYPES__REG ? reg->entry->reg : NULL;
}

static int fifo_collect(struct restore *restore, struct file_object *object)
{
	const RegFileEntry *reg = reg_of(restore, object);

	if (object->entry->fifo->id != object->id || !reg)
		return log_ret(-EBADMSG, "file %u: a fifo without a path", object->id);
	if (reg->has_mode && !S_ISFIFO(reg->mode))
		return log_ret(-EBADMSG, "file %u: %s is no fifo", object->id, reg->name);
	object->priv = (void *)reg;
	return 0;
}

static int fifo_depends(struct restore *restore, struct file_object *object)
{
	return file_table_need(restore->files, object, object->entry->fifo->regf_id);
}

/* If others than the restored hold it open, what is in it has stayed there. */
static int fill(const struct fifos *fifos, const struct pipe_end *end, int fd)
{
	const RegFileEntry *reg = end->object->priv;
	int bytes = 0;

	if (ioctl(fd, FIONREAD, &bytes))
		return log_errno("fifo %s", reg->name);
	if (bytes) {
		log_warn("fifo %s is in use and holds %d bytes: its data is left as it is",
			 reg->name, bytes);
		return 0;
	}
	return pipe_data_put(fifos->data, end->pipe_id, fd, false);
}

static int open_group(struct restore *restore, struct pipe_end *group, size_t count)
{
	scoped_fd int both = -1;
	int ret;

	ret = files_open_path(restore, group->object->entry->fifo->regf_id, O_RDWR | O_NONBLOCK,
			      &both);
	if (!ret)
		ret = fill(fifos_of(restore), group, both);
	for (size_t i = 0; !ret && i < count; i++) {
		const FifoEntry *fifo = group[i].object->entry->fifo;

		ret = files_open_path(restore, fifo->regf_id, -1, &group[i].object->master);
	}
	return ret;
}

static int fifo_open(struct restore *restore, struct file_object *object, int *fd)
{
	const struct fifos *fifos = fifos_of(restore);
	struct pipe_end *group;
	size_t count;
	int ret;

	group = pipe_groups_find(&fifos->groups, pipe_id_of(object), &count);
	ret = open_group(restore, group, count);
	*fd = object->master;
	return ret;
}

static int fifo_post_open(struct restore *restore, struct file_object *object,
			  const struct task *task, int fd, bool first)
{
	const RegFileEntry *reg = object->priv;

	return first ? pipe_set_async(object, reg->flags, fd) : 0;
}

static const FownEntry *fifo_fown(const struct file_object *object)
{
	const RegFileEntry *reg = object->priv;

	return reg->fown;
}

const struct kind_ops fifo_kind = {
	.name = "fifo",
	.type = FD_TYPES__FIFO,
	.detect = fifo_detect,
	.dump = fifo_dump,
	.plan = fifo_plan,
	.collect = fifo_collect,
	.depends = fifo_depends,
	.open = fifo_open,
	.post_open = fifo_post_open,
	.fown = fifo_fown,
	.fini = fifo_fini,
};
