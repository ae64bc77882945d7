// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kinds/pipes/data.h"
#include "pipe-data.pb-c.h"
#include "util/log.h"
#include "util/scope.h"

/* Something to read from: our duplicate, or the pipe opened again if that is a write end. */
static int open_source(const struct fd_probe *probe, int *fd)
{
	char path[64];

	if ((probe->flags & O_ACCMODE) != O_WRONLY && !(probe->flags & O_PATH)) {
		*fd = fcntl(probe->fd, F_DUPFD_CLOEXEC, 0);
	} else {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", probe->fd);
		*fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	}
	if (*fd < 0)
		return log_errno("task %d: fd %d: read %s", probe->task->pid, probe->number,
				 probe->link);
	return 0;
}

/* A pipe of ours with as many buffers: tee(2) takes one of it for each of the source. */
static int open_copy(const struct fd_probe *probe, int size, int ends[2])
{
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return log_errno("task %d: fd %d: a pipe to copy %s to", probe->task->pid,
				 probe->number, probe->link);
	if (fcntl(ends[1], F_GETPIPE_SZ) < size && fcntl(ends[1], F_SETPIPE_SZ, size) < 0)
		log_debug("pipe size %d is not allowed here", size);
	return 0;
}

/* A packet's end ends a read, also in the copy: its buffers keep their flags. A stream comes in one
 * read. */
static int read_copy(int fd, uint8_t *buf, size_t total, uint32_t *lengths, size_t *count)
{
	size_t used = 0;

	while (used < total) {
		ssize_t got = read(fd, buf + used, total - used);

		if (got <= 0)
			return got ? -errno : -EIO;
		lengths[(*count)++] = (uint32_t)got;
		used += (size_t)got;
	}
	return 0;
}

static int write_copy(struct image *img, PipeDataEntry *entry, int fd)
{
	scoped_free uint8_t *buf = malloc(entry->bytes);
	scoped_free uint32_t *lengths = calloc(entry->bytes, sizeof(*lengths));
	size_t count = 0;
	int ret = buf && lengths ? read_copy(fd, buf, entry->bytes, lengths, &count) : -ENOMEM;

	if (ret)
		return log_ret(ret, "pipe %u: read its copy", entry->pipe_id);
	if (count > 1) {
		entry->packets = lengths;
		entry->n_packets = count;
	}
	return image_write_payload(img, &entry->base, buf, entry->bytes);
}

static int copy_all(const struct fd_probe *probe, struct image *img, PipeDataEntry *entry,
		    int source)
{
	int size = (int)entry->size, total = (int)entry->bytes;
	scoped_fd int from = -1;
	scoped_fd int to = -1;
	int ends[2];
	ssize_t copied;
	int ret = open_copy(probe, size, ends);

	if (ret)
		return ret;
	from = ends[0];
	to = ends[1];
	copied = tee(source, to, (size_t)total, SPLICE_F_NONBLOCK);
	if (copied < 0)
		return log_errno("task %d: fd %d: copy what is in %s", probe->task->pid,
				 probe->number, probe->link);
	if (copied != total)
		return log_ret(-EOPNOTSUPP,
			       "task %d: fd %d: %s holds %d bytes in a pipe of %d: only %zd can be "
			       "copied (raise fs.pipe-max-size or fs.pipe-user-pages-soft)",
			       probe->task->pid, probe->number, probe->link, total, size, copied);
	return write_copy(img, entry, from);
}

int pipe_data_dump(struct dump *dump, const struct fd_probe *probe, enum image_kind kind,
		   uint32_t pipe_id)
{
	static const char owner;
	uint32_t *is_done = files_dump_slot(dump, &owner, kind, pipe_id);
	PipeDataEntry entry = PIPE_DATA_ENTRY__INIT;
	scoped_fd int source = -1;
	struct image *img;
	int total = 0, size, ret;

	if (!is_done)
		return -ENOMEM;
	if (*is_done)
		return 0;
	ret = files_dump_image(dump, kind, &img);
	if (!ret)
		ret = open_source(probe, &source);
	if (ret)
		return ret;
	size = fcntl(source, F_GETPIPE_SZ);
	if (size < 0 || ioctl(source, FIONREAD, &total))
		return log_errno("task %d: fd %d: size of %s", probe->task->pid, probe->number,
				 probe->link);
	entry.pipe_id = pipe_id;
	entry.bytes = (uint32_t)total;
	entry.has_size = true;
	entry.size = (uint32_t)size;
	ret = total ? copy_all(probe, img, &entry, source) : image_write(img, &entry.base);
	*is_done = 1;
	return ret;
}
