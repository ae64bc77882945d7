// SPDX-License-Identifier: GPL-2.0
/* Pipes made by pipe(2). Each open file description is an object; pipe_id (the inode) joins them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kinds/external.h"
#include "kinds/families.h"
#include "kinds/fown.h"
#include "kinds/pipes/data.h"
#include "kinds/pipes/groups.h"
#include "util/log.h"
#include "util/scope.h"

enum { KEY_BYTES = 32 };

struct pipes {
	struct pipe_groups groups;
	struct pipe_data *data;
};

static bool pipe_detect(const struct fd_probe *probe)
{
	return S_ISFIFO(probe->st.st_mode) && !strncmp(probe->link, "pipe:[", 6);
}

static int pipe_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	PipeEntry *pipe = message_new(PipeEntry, pipe_entry);
	int ret;

	if (!pipe)
		return log_ret(-ENOMEM, "%s", probe->link);
	entry->pipe = pipe;
	pipe->id = entry->id;
	pipe->pipe_id = (uint32_t)probe->st.st_ino; /* pipefs counts in 32 bits */
	pipe->flags = probe->flags;
	ret = fown_dump(dump, probe, &pipe->fown);
	return ret ? ret : pipe_data_dump(dump, probe, IMG_PIPES_DATA, pipe->pipe_id);
}

static uint32_t pipe_id_of(const struct file_object *object)
{
	return object->entry->pipe->pipe_id;
}

static struct pipes *pipes_of(struct restore *restore)
{
	return *file_table_priv(restore->files, &pipe_kind);
}

static void pipe_fini(struct restore *restore)
{
	struct pipes *pipes = pipes_of(restore);

	if (!pipes)
		return;
	pipe_groups_fini(&pipes->groups);
	pipe_data_free(pipes->data);
	free(pipes);
}

static int pipe_plan(struct restore *restore)
{
	struct pipes *pipes = calloc(1, sizeof(*pipes));

	if (!pipes)
		return log_ret(-ENOMEM, "pipes");
	*file_table_priv(restore->files, &pipe_kind) = pipes;
	int ret = pipe_data_plan(restore, IMG_PIPES_DATA, &pipes->data);

	if (!ret)
		ret = pipe_groups_init(&pipes->groups, restore->files, &pipe_kind, pipe_id_of);
	if (ret) {
		pipe_fini(restore);
		*file_table_priv(restore->files, &pipe_kind) = NULL;
	}
	return ret;
}

static int pipe_collect(struct restore *restore, struct file_object *object)
{
	const PipeEntry *pipe = object->entry->pipe;

	if (pipe->id != object->id || (pipe->flags & O_ACCMODE) == O_ACCMODE)
		return log_ret(-EBADMSG, "file %u: pipe with id %u and flags 0%o", object->id,
			       pipe->id, pipe->flags);
	return 0;
}

/* The end as its owner had it: one of the two of pipe2(2) while there, else opened again. */
static int open_end(const PipeEntry *pipe, int ends[2], bool taken[2], int *master)
{
	int mode = (int)pipe->flags & O_ACCMODE;
	int side = mode == O_WRONLY;
	int ret;

	if (mode == O_RDWR || (pipe->flags & O_PATH) || taken[side]) {
		ret = pipe_reopen(ends[0], pipe->flags, master);
		return ret ? log_ret(ret, "pipe %u: open another end, flags 0%o", pipe->pipe_id,
				     pipe->flags)
			   : 0;
	}
	if (fcntl(ends[side], F_SETFL, (int)pipe->flags & (O_NONBLOCK | O_DIRECT | O_APPEND)))
		return log_errno("pipe %u: flags 0%o", pipe->pipe_id, pipe->flags);
	taken[side] = true;
	*master = ends[side];
	return 0;
}

static bool is_packet_pipe(const struct pipe_end *ends, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const PipeEntry *pipe = ends[i].object->entry->pipe;

		if ((pipe->flags & O_DIRECT) && (pipe->flags & O_ACCMODE) != O_RDONLY)
			return true;
	}
	return false;
}

static int open_new(const struct pipes *pipes, struct pipe_end *group, size_t count)
{
	bool taken[2] = { false, false };
	int ends[2];
	int ret;

	if (pipe2(ends, O_CLOEXEC))
		return log_errno("pipe %u", group->pipe_id);
	ret = pipe_data_put(pipes->data, group->pipe_id, ends[1], is_packet_pipe(group, count));
	for (size_t i = 0; !ret && i < count; i++)
		ret = open_end(group[i].object->entry->pipe, ends, taken, &group[i].object->master);
	for (int side = 0; side < 2; side++) {
		if (!taken[side])
			close(ends[side]);
	}
	return ret;
}

/* The user has brought the pipe: what is in it is his. */
static int open_inherited(int inherited, struct pipe_end *group, size_t count)
{
	int mode = fcntl(inherited, F_GETFL) & O_ACCMODE;

	for (size_t i = 0; i < count; i++) {
		const PipeEntry *pipe = group[i].object->entry->pipe;
		int *master = &group[i].object->master;
		int ret = 0;

		if (((int)pipe->flags & O_ACCMODE) == mode)
			*master = fcntl(inherited, F_DUPFD_CLOEXEC, 0);
		else
			ret = pipe_reopen(inherited, pipe->flags, master);
		if (ret || *master < 0)
			return log_ret(ret ? ret : -errno, "pipe %u: take the inherited one",
				       pipe->pipe_id);
	}
	return 0;
}

static int pipe_open(struct restore *restore, struct file_object *object, int *fd)
{
	const struct pipes *pipes = pipes_of(restore);
	uint32_t pipe_id = pipe_id_of(object);
	scoped_fd int inherited = -1;
	struct pipe_end *group;
	char key[KEY_BYTES];
	size_t count;
	int ret;

	group = pipe_groups_find(&pipes->groups, pipe_id, &count);
	snprintf(key, sizeof(key), "pipe:[%u]", pipe_id);
	ret = inherit_fd_open(restore, key, &inherited);
	if (!ret)
		ret = open_inherited(inherited, group, count);
	else if (ret == -ENOENT)
		ret = open_new(pipes, group, count);
	*fd = object->master;
	return ret;
}

static int pipe_post_open(struct restore *restore, struct file_object *object,
			  const struct task *task, int fd, bool first)
{
	return first ? pipe_set_async(object, object->entry->pipe->flags, fd) : 0;
}

static const FownEntry *pipe_fown(const struct file_object *object)
{
	return object->entry->pipe->fown;
}

const struct kind_ops pipe_kind = {
	.name = "pipe",
	.type = FD_TYPES__PIPE,
	.detect = pipe_detect,
	.dump = pipe_dump,
	.plan = pipe_plan,
	.collect = pipe_collect,
	.open = pipe_open,
	.post_open = pipe_post_open,
	.fown = pipe_fown,
	.fini = pipe_fini,
};
