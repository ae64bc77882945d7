// SPDX-License-Identifier: GPL-2.0
#include "kinds/pipes/groups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "util/bisect.h"
#include "util/log.h"
#include "util/scope.h"

static int compare_ends(const void *left, const void *right)
{
	const struct pipe_end *a = left, *b = right;

	if (a->pipe_id != b->pipe_id)
		return a->pipe_id < b->pipe_id ? -1 : 1;
	return a->object->id < b->object->id ? -1 : a->object->id > b->object->id;
}

int pipe_groups_init(struct pipe_groups *groups, struct file_table *table,
		     const struct kind_ops *ops, pipe_id_fn pipe_id)
{
	struct file_object *object = NULL;
	size_t count = 0;

	while ((object = file_table_next(table, object)))
		count += object->ops == ops;
	groups->ends = calloc(count + 1, sizeof(*groups->ends));
	if (!groups->ends)
		return log_ret(-ENOMEM, "%zu ends of pipes", count);
	groups->count = 0;
	while ((object = file_table_next(table, object))) {
		if (object->ops != ops)
			continue;
		groups->ends[groups->count++] = (struct pipe_end){
			.pipe_id = pipe_id(object),
			.object = object,
		};
	}
	if (count)
		qsort(groups->ends, count, sizeof(*groups->ends), compare_ends);
	return 0;
}

void pipe_groups_fini(struct pipe_groups *groups)
{
	free(groups->ends);
	groups->ends = NULL;
	groups->count = 0;
}

struct pipe_end *pipe_groups_find(const struct pipe_groups *groups, uint32_t pipe_id, size_t *count)
{
	struct pipe_end *ends = groups->ends;
	size_t first = bisect(groups->count, i, ends[i].pipe_id >= pipe_id);

	*count = bisect(groups->count, i, ends[i].pipe_id > pipe_id) - first;
	return ends + first;
}

int pipe_reopen(int fd, uint32_t flags, int *out)
{
	const int later = O_DIRECT | O_NONBLOCK;
	scoped_fd int opened = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	/* Packet mode is only taken from pipe2(2) and fcntl(2); and opening must not wait. */
	opened = open(path, ((int)flags & (O_ACCMODE | O_PATH)) | O_NONBLOCK | O_CLOEXEC);
	if (opened < 0)
		return -errno;
	if (!(flags & O_PATH) &&
	    fcntl(opened, F_SETFL, (int)flags & (later | O_APPEND | O_NOATIME)))
		return -errno;
	*out = take_fd(&opened);
	return 0;
}

int pipe_set_async(const struct file_object *object, uint32_t flags, int fd)
{
	int now;

	if (!(flags & O_ASYNC) || (flags & O_PATH))
		return 0;
	now = fcntl(fd, F_GETFL);
	if (now < 0 || fcntl(fd, F_SETFL, now | O_ASYNC))
		return log_errno("file %u: fd %d: O_ASYNC", object->id, fd);
	return 0;
}
