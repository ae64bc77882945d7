// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "kinds/pipes/data.h"
#include "pipe-data.pb-c.h"
#include "util/log.h"
#include "util/scope.h"

enum { RECORDS_MAX = 1 << 24, PIPE_SIZE_MAX = 1 << 30 };

struct record {
	uint32_t pipe_id;
	uint32_t bytes;
	uint32_t size; /* of the pipe; 0: as it comes */
	uint64_t offset;
};

struct pipe_data {
	struct image *img; /* open until the end: the root task reads through it */
	int fd;
	struct record *records; /* by pipe_id, then as in the image */
	size_t count;
};

static int compare_records(const void *left, const void *right)
{
	const struct record *a = left, *b = right;

	if (a->pipe_id != b->pipe_id)
		return a->pipe_id < b->pipe_id ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static int append(struct pipe_data *data, size_t *size, const PipeDataEntry *entry)
{
	struct record *bigger;

	if (entry->bytes > PIPE_SIZE_MAX || (entry->has_size && entry->size > PIPE_SIZE_MAX))
		return image_bad(data->img, "pipe %u: a size is absurd", entry->pipe_id);
	if (data->count == *size) {
		*size = *size ? *size * 2 : 16;
		bigger = *size > RECORDS_MAX ? NULL
					     : realloc(data->records, *size * sizeof(*bigger));
		if (!bigger)
			return log_ret(-ENOMEM, "image %s", image_name(data->img));
		data->records = bigger;
	}
	data->records[data->count++] = (struct record){
		.pipe_id = entry->pipe_id,
		.bytes = entry->bytes,
		.size = entry->has_size ? entry->size : 0,
		.offset = image_offset(data->img),
	};
	return image_skip_raw(data->img, entry->bytes);
}

static int read_records(struct pipe_data *data)
{
	ProtobufCMessage *msg;
	size_t size = 0;
	int ret;

	while ((ret = image_read(data->img, &pipe_data_entry__descriptor, &msg)) == 1) {
		ret = append(data, &size, (PipeDataEntry *)msg);
		image_msg_free(msg);
		if (ret)
			return ret;
	}
	if (ret)
		return ret;
	if (data->count)
		qsort(data->records, data->count, sizeof(*data->records), compare_records);
	data->fd = image_fd(data->img);
	return data->fd < 0 ? data->fd : 0;
}

int pipe_data_plan(struct restore *restore, enum image_kind kind, struct pipe_data **out)
{
	struct pipe_data *data = calloc(1, sizeof(*data));
	int ret;

	if (!data)
		return log_ret(-ENOMEM, "data of pipes");
	ret = image_open(restore->images, kind, 0, &data->img);
	if (!ret)
		ret = read_records(data);
	else if (ret == -ENOENT)
		ret = 0;
	if (ret)
		pipe_data_free(data);
	else
		*out = data;
	return ret;
}

void pipe_data_free(struct pipe_data *data)
{
	if (!data)
		return;
	if (data->img)
		image_close(&data->img);
	free(data->records);
	free(data);
}

/* The first record of a pipe and how many there are. */
static const struct record *find_records(const struct pipe_data *data, uint32_t pipe_id,
					 size_t *count)
{
	size_t low = 0, high = data->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (data->records[middle].pipe_id < pipe_id)
			low = middle + 1;
		else
			high = middle;
	}
	for (*count = 0; low + *count < data->count; ++*count) {
		if (data->records[low + *count].pipe_id != pipe_id)
			break;
	}
	return data->records + low;
}

/* Not fatal by itself: more than fs.pipe-max-size needs CAP_SYS_RESOURCE. */
static void set_size(uint32_t pipe_id, int fd, uint32_t size)
{
	int now = fcntl(fd, F_GETPIPE_SZ);

	if (!size || now == (int)size)
		return;
	if (fcntl(fd, F_SETPIPE_SZ, (int)size) < 0)
		log_warn("pipe %u: its size stays %d instead of %u: %s", pipe_id, now, size,
			 strerror(errno));
}

static int put_record(const struct pipe_data *data, const struct record *record, int fd)
{
	scoped_free char *buf = malloc(record->bytes);
	ssize_t len = buf ? pread(data->fd, buf, record->bytes, (off_t)record->offset) : -1;

	if (len != (ssize_t)record->bytes)
		return log_ret(len < 0 ? -errno : -EBADMSG, "pipe %u: read %u bytes at %" PRIu64,
			       record->pipe_id, record->bytes, record->offset);
	len = write(fd, buf, record->bytes);
	if (len != (ssize_t)record->bytes)
		return log_ret(len < 0 ? -errno : -ENOSPC,
			       "pipe %u: %u bytes do not fit into a pipe of %d (raise "
			       "fs.pipe-max-size or fs.pipe-user-pages-soft)",
			       record->pipe_id, record->bytes, fcntl(fd, F_GETPIPE_SZ));
	return 0;
}

int pipe_data_put(const struct pipe_data *data, uint32_t pipe_id, int fd, bool is_packet)
{
	size_t count;
	const struct record *records = find_records(data, pipe_id, &count);
	int flags = O_NONBLOCK;

	if (!count)
		return 0;
	set_size(pipe_id, fd, records->size);
	if (is_packet || count > 1)
		flags |= O_DIRECT;
	if (fcntl(fd, F_SETFL, flags))
		return log_errno("pipe %u: flags 0%o", pipe_id, flags);
	for (size_t i = 0; i < count; i++) {
		int ret = records[i].bytes ? put_record(data, &records[i], fd) : 0;

		if (ret)
			return ret;
	}
	return 0;
}
