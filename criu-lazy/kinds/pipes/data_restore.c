// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "kinds/pipes/data.h"
#include "pipe-data.pb-c.h"
#include "util/bisect.h"
#include "util/log.h"
#include "util/scope.h"

enum { RECORDS_MAX = 1 << 24, PIPE_SIZE_MAX = 1 << 30 };

struct record {
	uint32_t pipe_id;
	uint32_t bytes;
	uint32_t size; /* of the pipe; 0: as it comes */
	uint64_t offset;
	uint32_t *packets; /* their lengths; NULL: one piece */
	size_t nr_packets;
};

struct pipe_data {
	struct image *img; /* open until the end: the root task reads through it */
	int fd;
	struct record *records; /* by pipe_id, then as in the image */
	size_t count, cap;
};

static int compare_records(const void *left, const void *right)
{
	const struct record *a = left, *b = right;

	if (a->pipe_id != b->pipe_id)
		return a->pipe_id < b->pipe_id ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static int check_entry(const struct image *img, const PipeDataEntry *entry)
{
	uint64_t sum = 0;

	if (entry->bytes > PIPE_SIZE_MAX || (entry->has_size && entry->size > PIPE_SIZE_MAX))
		return image_bad(img, "pipe %u: a size is absurd", entry->pipe_id);
	for (size_t i = 0; i < entry->n_packets; i++) {
		if (!entry->packets[i])
			return image_bad(img, "pipe %u: an empty packet", entry->pipe_id);
		sum += entry->packets[i];
	}
	if (entry->n_packets && sum != entry->bytes)
		return image_bad(img, "pipe %u: packets of %" PRIu64 " bytes in %u", entry->pipe_id,
				 sum, entry->bytes);
	return 0;
}

static int copy_packets(struct record *record, const PipeDataEntry *entry)
{
	if (!entry->n_packets)
		return 0;
	record->packets = malloc(entry->n_packets * sizeof(*record->packets));
	if (!record->packets)
		return log_ret(-ENOMEM, "pipe %u: packets", entry->pipe_id);
	memcpy(record->packets, entry->packets, entry->n_packets * sizeof(*record->packets));
	record->nr_packets = entry->n_packets;
	return 0;
}

static int append(void *arg, struct image *img, const ProtobufCMessage *msg)
{
	const PipeDataEntry *entry = (const PipeDataEntry *)msg;
	struct pipe_data *data = arg;
	struct record *bigger;
	int ret = check_entry(img, entry);

	if (ret)
		return ret;
	if (data->count == data->cap) {
		size_t cap = data->cap ? data->cap * 2 : 16;

		bigger = cap > RECORDS_MAX ? NULL : realloc(data->records, cap * sizeof(*bigger));
		if (!bigger)
			return log_ret(-ENOMEM, "image %s", image_name(img));
		data->records = bigger;
		data->cap = cap;
	}
	data->records[data->count++] = (struct record){
		.pipe_id = entry->pipe_id,
		.bytes = entry->bytes,
		.size = entry->has_size ? entry->size : 0,
		.offset = image_offset(img),
	};
	ret = copy_packets(&data->records[data->count - 1], entry);
	return ret ? ret : image_skip_raw(img, entry->bytes);
}

static int read_records(struct pipe_data *data)
{
	int ret = image_each(data->img, &pipe_data_entry__descriptor, append, data);

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
	for (size_t i = 0; i < data->count; i++)
		free(data->records[i].packets);
	free(data->records);
	free(data);
}

/* The first record of a pipe and how many there are. */
static const struct record *find_records(const struct pipe_data *data, uint32_t pipe_id,
					 size_t *count)
{
	const struct record *records = data->records;
	size_t first = bisect(data->count, i, records[i].pipe_id >= pipe_id);

	*count = bisect(data->count, i, records[i].pipe_id > pipe_id) - first;
	return records + first;
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

static int put_bytes(const struct record *record, int fd, const char *bytes, size_t size)
{
	ssize_t len = write(fd, bytes, size);

	if (len == (ssize_t)size)
		return 0;
	return log_ret(len < 0 ? -errno : -ENOSPC,
		       "pipe %u: %u bytes do not fit into a pipe of %d (raise fs.pipe-max-size or "
		       "fs.pipe-user-pages-soft)",
		       record->pipe_id, record->bytes, fcntl(fd, F_GETPIPE_SZ));
}

static int put_record(const struct pipe_data *data, const struct record *record, int fd)
{
	scoped_free char *buf = malloc(record->bytes);
	size_t done = 0;
	ssize_t len = buf ? pread(data->fd, buf, record->bytes, (off_t)record->offset) : -1;

	if (len != (ssize_t)record->bytes)
		return log_ret(len < 0 ? -errno : -EBADMSG, "pipe %u: read %u bytes at %" PRIu64,
			       record->pipe_id, record->bytes, record->offset);
	for (size_t i = 0; i < record->nr_packets; i++) {
		int ret = put_bytes(record, fd, buf + done, record->packets[i]);

		if (ret)
			return ret;
		done += record->packets[i];
	}
	return record->nr_packets ? 0 : put_bytes(record, fd, buf, record->bytes);
}

int pipe_data_put(const struct pipe_data *data, uint32_t pipe_id, int fd, bool is_packet)
{
	size_t count;
	const struct record *records = find_records(data, pipe_id, &count);
	int flags = O_NONBLOCK;

	if (!count)
		return 0;
	set_size(pipe_id, fd, records->size);
	if (is_packet || records->nr_packets)
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
