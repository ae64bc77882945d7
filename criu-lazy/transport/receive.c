// SPDX-License-Identifier: GPL-2.0
#include "transport/receive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "mem/pagemap_flags.h"
#include "mem/pagemap_writer.h"
#include "transport/channel.h"
#include "transport/wire.h"
#include "util/log.h"
#include "util/scope.h"

enum { STALL_MS = 60000, BUFFER = 1 << 20, LOOK_MS = 200 };

struct receive {
	struct image_dir *images;
	struct channel *channel;
	uint64_t object; /* that is open; 0: none */
	struct pagemap_writer pagemap;
	struct image *pages;
	uint64_t end; /* of the entry before */
	uint32_t next_pages_id;
	bool has_parent; /* the open object has one in the parent set */
	uint64_t nr_pages;
	uint8_t *buf;
};

static int refuse(const struct receive *receive, const struct wire_record *record)
{
	log_err("sender %s: cmd 0x%x, object 0x%" PRIx64 ", %" PRIu64 " pages at 0x%" PRIx64
		": no dump sends that",
		channel_peer(receive->channel), record->cmd, record->dst_id, record->nr_pages,
		record->vaddr);
	return -EPROTO;
}

static int close_object(struct receive *receive, int failed)
{
	int ret;

	if (!receive->object)
		return failed;
	receive->object = 0;
	ret = pagemap_writer_end(&receive->pagemap, failed);
	if (!ret)
		return image_close(&receive->pages);
	image_abandon(&receive->pages);
	receive->pages = NULL;
	return ret;
}

static enum image_kind kind_of(uint64_t object)
{
	return wire_object_type(object) == WIRE_TASK ? IMG_PAGEMAP : IMG_SHMEM_PAGEMAP;
}

static bool is_object(uint64_t object)
{
	unsigned int type = wire_object_type(object);
	uint64_t id = wire_object_id(object);

	return (type == WIRE_TASK || type == WIRE_SHMEM) && id && id <= UINT32_MAX;
}

/* Does the parent set have pages of it? */
static int find_parent(struct receive *receive, uint64_t object, bool *has)
{
	scoped_image struct image *img = NULL;
	struct image_dir *parent;
	int ret = image_dir_parent(receive->images, &parent);

	*has = false;
	if (ret || !parent)
		return ret;
	ret = image_open(parent, kind_of(object), wire_object_id(object), &img);
	*has = !ret;
	return ret == -ENOENT ? 0 : ret;
}

static int open_object(struct receive *receive, const struct wire_record *record)
{
	int ret = close_object(receive, 0);

	if (!ret && !is_object(record->dst_id))
		return refuse(receive, record);
	if (!ret)
		ret = find_parent(receive, record->dst_id, &receive->has_parent);
	if (!ret)
		ret = pagemap_writer_begin(receive->images, NULL, kind_of(record->dst_id),
					   wire_object_id(record->dst_id), receive->next_pages_id,
					   &receive->pagemap);
	if (ret)
		return ret;
	receive->object = record->dst_id;
	receive->end = 0;
	return image_create(receive->images, IMG_PAGES, receive->next_pages_id++, &receive->pages);
}

static int say_parent(struct receive *receive, uint64_t object)
{
	uint8_t answer;
	bool has;
	int ret = is_object(object) ? find_parent(receive, object, &has) : -EPROTO;

	if (ret)
		return ret;
	answer = has;
	return channel_write_bytes(receive->channel, &answer, sizeof(answer), STALL_MS);
}

static int take_pages(struct receive *receive, uint64_t bytes)
{
	while (bytes) {
		size_t piece = bytes < BUFFER ? (size_t)bytes : BUFFER;
		int ret = channel_read(receive->channel, receive->buf, piece, STALL_MS);

		if (ret)
			return log_ret(ret, "sender %s: pages", channel_peer(receive->channel));
		ret = image_write_raw(receive->pages, receive->buf, piece);
		if (ret)
			return ret;
		bytes -= piece;
	}
	return 0;
}

static int add_entry(struct receive *receive, const struct wire_record *record, uint32_t flags)
{
	uint64_t len, end;
	int ret;

	if (!receive->object || record->vaddr % WIRE_PAGE || !record->nr_pages ||
	    __builtin_mul_overflow(record->nr_pages, (uint64_t)WIRE_PAGE, &len) ||
	    __builtin_add_overflow(record->vaddr, len, &end) || record->vaddr < receive->end ||
	    flags & ~(uint32_t)(PE_PARENT | PE_LAZY | PE_PRESENT) ||
	    (flags & PE_PARENT && (flags & PE_PRESENT || !receive->has_parent)) || !flags)
		return refuse(receive, record);
	receive->end = end;
	ret = pagemap_writer_add(&receive->pagemap, record->vaddr, end, flags);
	if (ret || !(flags & PE_PRESENT))
		return ret;
	receive->nr_pages += record->nr_pages;
	return take_pages(receive, len);
}

static int take_record(struct receive *receive, const struct wire_record *record)
{
	int ret;

	switch (record->cmd & WIRE_CMD_MASK) {
	case WIRE_OPEN:
		return open_object(receive, record);
	case WIRE_OPEN2:
		ret = open_object(receive, record);
		return ret ? ret : say_parent(receive, record->dst_id);
	case WIRE_PARENT:
		return say_parent(receive, record->dst_id);
	case WIRE_ADD:
		return add_entry(receive, record, PE_PRESENT);
	case WIRE_HOLE:
		return add_entry(receive, record, PE_PARENT);
	case WIRE_ADD_F:
		return add_entry(receive, record, record->cmd >> WIRE_FLAGS_SHIFT);
	default:
		return refuse(receive, record);
	}
}

static bool is_close(const struct wire_record *record)
{
	return record->cmd == WIRE_CLOSE || record->cmd == WIRE_FORCE_CLOSE;
}

/* A sender may think for long between two records. */
static int wait_record(struct receive *receive, struct wire_record *record,
		       const volatile sig_atomic_t *stopped)
{
	int ret = -ETIMEDOUT;

	while (ret == -ETIMEDOUT && !*stopped)
		ret = channel_wait(receive->channel, -1, LOOK_MS);
	if (*stopped)
		return log_ret(-EINTR, "page server: stopped by signal %d", (int)*stopped);
	if (!ret)
		ret = channel_read(receive->channel, record, sizeof(*record), STALL_MS);
	return ret ? log_ret(ret, "sender %s: gone before the end", channel_peer(receive->channel))
		   : 0;
}

int receive_serve(struct image_dir *images, struct channel *channel,
		  const volatile sig_atomic_t *stopped)
{
	scoped_free uint8_t *buf = malloc(BUFFER);
	struct receive receive = {
		.images = images,
		.channel = channel,
		.next_pages_id = 1,
		.buf = buf,
	};
	struct wire_record record;
	int32_t status;
	int ret = buf ? 0 : -ENOMEM;

	while (!ret) {
		ret = wait_record(&receive, &record, stopped);
		if (!ret && is_close(&record))
			break;
		if (!ret)
			ret = take_record(&receive, &record);
	}
	ret = close_object(&receive, ret);
	status = ret;
	if (ret != -EPIPE)
		channel_write_bytes(channel, &status, sizeof(status), STALL_MS);
	if (!ret)
		log_info("page server: received %" PRIu64 " pages", receive.nr_pages);
	return ret;
}
