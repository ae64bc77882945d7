// SPDX-License-Identifier: GPL-2.0
#include "transport/push.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "mem/pagemap_flags.h"
#include "options/options.h"
#include "transport/channel.h"
#include "transport/net.h"
#include "transport/tls.h"
#include "transport/wire.h"
#include "util/log.h"

enum { CONNECT_MS = 10000, STALL_MS = 60000 };

struct entry {
	uint64_t start, end;
	uint32_t flags;
};

struct push_list {
	uint64_t object;
	struct entry *entries;
	size_t count, capacity;
};

struct page_push {
	struct channel *channel;
	struct tls_context *tls;
	struct push_list *list; /* of the object that is being sent */
	size_t next;		/* whose header is to be sent */
	uint64_t left;		/* bytes of the entry whose header is sent */
};

static int lost(const struct page_push *push, int err)
{
	return log_ret(err, "page server %s", channel_peer(push->channel));
}

int push_connect(const struct options *opts, struct page_push **out)
{
	struct page_push *push = calloc(1, sizeof(*push));
	int ret, fd;

	if (!push)
		return -ENOMEM;
	*out = push;
	ret = tls_context_new(opts, &push->tls);
	if (ret)
		return ret;
	fd = opts->ps_socket >= 0 ? fcntl(opts->ps_socket, F_DUPFD_CLOEXEC, 3)
				  : net_connect(opts->address, opts->port, CONNECT_MS);
	if (fd < 0)
		return opts->ps_socket >= 0 ? log_errno("descriptor %d", opts->ps_socket) : fd;
	ret = channel_new(fd, &push->channel);
	if (!ret && push->tls)
		ret = channel_start_tls(push->channel, push->tls, false, opts->address, CONNECT_MS);
	if (!ret)
		channel_tune_demand(push->channel, STALL_MS);
	return ret;
}

static int send_record(struct page_push *push, uint32_t cmd, uint64_t nr_pages, uint64_t vaddr)
{
	struct wire_record record = {
		.cmd = cmd,
		.nr_pages = nr_pages,
		.vaddr = vaddr,
		.dst_id = push->list ? push->list->object : 0,
	};

	return channel_write_bytes(push->channel, &record, sizeof(record), STALL_MS);
}

struct push_list *push_list_new(uint64_t object)
{
	struct push_list *list = calloc(1, sizeof(*list));

	if (list)
		list->object = object;
	return list;
}

void push_list_free(struct push_list *list)
{
	if (list)
		free(list->entries);
	free(list);
}

int push_entry(struct push_list *list, uint64_t start, uint64_t end, uint32_t flags)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 256;
		struct entry *grown = realloc(list->entries, capacity * sizeof(*grown));

		if (!grown)
			return log_ret(-ENOMEM, "page server: pagemap");
		list->entries = grown;
		list->capacity = capacity;
	}
	list->entries[list->count++] = (struct entry){ start, end, flags };
	return 0;
}

int push_begin(struct page_push *push, struct push_list *list)
{
	uint8_t has_parent;
	int ret;

	push_list_free(push->list);
	push->list = list;
	push->next = push->left = 0;
	ret = send_record(push, WIRE_OPEN2, 0, 0);
	if (!ret)
		ret = channel_read(push->channel, &has_parent, sizeof(has_parent), STALL_MS);
	return ret ? lost(push, ret) : 0;
}

/* Headers of the entries up to and including the next one with bytes. */
static int send_headers(struct page_push *push)
{
	while (!push->left && push->next < push->list->count) {
		const struct entry *entry = &push->list->entries[push->next++];
		int ret = send_record(push, WIRE_ADD_F | entry->flags << WIRE_FLAGS_SHIFT,
				      (entry->end - entry->start) / WIRE_PAGE, entry->start);

		if (ret)
			return lost(push, ret);
		if (entry->flags & PE_PRESENT)
			push->left = entry->end - entry->start;
	}
	return 0;
}

int push_bytes(void *arg, const void *data, size_t len)
{
	struct page_push *push = arg;
	const uint8_t *at = data;

	while (len) {
		int ret = send_headers(push);
		size_t piece = len < push->left ? len : (size_t)push->left;

		if (!ret && !piece)
			return log_ret(-EINVAL, "page server: more bytes than pages");
		if (!ret)
			ret = channel_write_bytes(push->channel, at, piece, STALL_MS);
		if (ret)
			return lost(push, ret);
		at += piece;
		len -= piece;
		push->left -= piece;
	}
	return 0;
}

int push_finish(struct page_push *push)
{
	int32_t status;
	int ret = send_record(push, WIRE_CLOSE, 0, 0);

	if (!ret)
		ret = channel_read(push->channel, &status, sizeof(status), STALL_MS);
	if (ret)
		return lost(push, ret);
	if (!status)
		return 0;
	log_err("page server %s: says that it failed (%d)", channel_peer(push->channel), status);
	return -EIO;
}

void push_free(struct page_push *push)
{
	if (!push)
		return;
	channel_free(push->channel);
	tls_context_free(push->tls);
	push_list_free(push->list);
	free(push);
}
