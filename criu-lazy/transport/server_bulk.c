// SPDX-License-Identifier: GPL-2.0
/*
 * The bulk channel: what is owed is pushed, first what the client put first, then in address order.
 * Between two pieces the thread looks whether the client said something.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "options/options.h"
#include "transport/compress.h"
#include "transport/pace.h"
#include "transport/server_impl.h"
#include "transport/zero.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/priority.h"
#include "util/scope.h"

enum {
	PIECE_MIN = 8, /* pages */
	PIECE_MAX = 16,
	PRIORITY_MAX = 1 << 20, /* ranges that a client may have queued */
	PACK_RATIO = 8,		/* compressed must be below 7/8 */
	PACK_SAMPLE = 64,	/* pieces between two tries when it does not pay */
};

#define PIECE_NS 4000000ull /* how long a piece should take to send: what a DROP may wait */

struct bulk {
	struct server *server;
	struct session *session;
	struct channel *channel;
	struct frame_rules in, out;
	uint8_t *buf, *packed;
	struct wire_range *ranges;
	bool is_pushing, is_done;
	size_t slot;	/* of the object that is being pushed */
	uint64_t index; /* where in it */
	uint64_t piece; /* pages */
	unsigned int pack_skip;
	struct pace pace;
	/* What sending and packing cost so far, ns per byte as a running mean. */
	double send_cost, pack_cost;
};

/* ---- sending ------------------------------------------------------------------ */

static int send_simple(struct bulk *bulk, uint32_t type, uint32_t seq)
{
	struct wire_frame frame = { .type = type, .seq = seq };

	return frame_send(bulk->channel, &bulk->out, &frame, NULL, 0, SERVER_STALL_MS);
}

static void mean(double *average, double value)
{
	*average = *average == 0 ? value : *average * 0.75 + value * 0.25;
}

/*
 * lz4 pays when packing and sending what is left takes less time than sending all. On a fast link
 * it does not, so it is tried now and then only. --compress lz4 always packs.
 */
static size_t try_pack(struct bulk *bulk, const uint8_t *data, size_t len)
{
	bool is_forced = bulk->server->params.opts->compress == COMPRESS_LZ4;
	uint64_t start, cost;
	size_t packed;

	if (!(bulk->out.features & WIRE_FEATURE_LZ4))
		return 0;
	if (!is_forced && (bulk->send_cost == 0 || bulk->pack_skip)) {
		if (bulk->pack_skip)
			bulk->pack_skip--;
		return 0;
	}
	start = clock_ns();
	packed = lz4_pack(data, len, bulk->packed, len - len / PACK_RATIO);
	cost = clock_ns() - start;
	mean(&bulk->pack_cost, (double)cost / (double)len);
	double saved = packed ? bulk->send_cost * (double)(len - packed) : 0;

	if (!is_forced && saved < bulk->pack_cost * (double)len)
		bulk->pack_skip = PACK_SAMPLE;
	return packed;
}

static int wait_rate(struct bulk *bulk, uint64_t bytes)
{
	uint64_t wait = rate_take(&bulk->server->rate, bytes, clock_ns());
	struct timespec pause = { (time_t)(wait / 1000000000), (long)(wait % 1000000000) };

	if (wait)
		nanosleep(&pause, NULL);
	return 0;
}

static void keep_pace(struct bulk *bulk)
{
	struct pace_sample sample = { .now = clock_ns(),
				      .has_waited = channel_has_waited(bulk->channel) };

	if (!channel_way(bulk->channel, &sample.acked, &sample.rtt, &sample.min_rtt) ||
	    !pace_sample(&bulk->pace, &sample))
		return;
	channel_pace(bulk->channel, bulk->pace.rate, pace_packet(&bulk->pace));
	log_debug("bulk: %" PRIu64 " kB/s, packets of %u, round trip %u us (least %u)",
		  bulk->pace.rate / 1000, pace_packet(&bulk->pace), sample.rtt, sample.min_rtt);
}

static int send_pages(struct bulk *bulk, struct wire_frame *frame, const uint8_t *data)
{
	size_t len = (size_t)frame->nr_pages * WIRE_PAGE, packed = try_pack(bulk, data, len);
	uint64_t start;
	int ret;

	if (packed) {
		frame->flags |= WIRE_LZ4;
		data = bulk->packed;
		len = packed;
	}
	wait_rate(bulk, len + sizeof(*frame));
	start = clock_ns();
	ret = frame_send(bulk->channel, &bulk->out, frame, data, len, SERVER_STALL_MS);
	keep_pace(bulk);
	uint64_t took = clock_ns() - start;

	mean(&bulk->send_cost, (double)took / (double)len);
	if (took > PIECE_NS && bulk->piece > PIECE_MIN)
		bulk->piece /= 2;
	else if (took < PIECE_NS / 4 && bulk->piece < PIECE_MAX)
		bulk->piece *= 2;
	return ret;
}

static int push_data(struct bulk *bulk, uint64_t object, uint64_t vaddr, uint64_t count)
{
	const uint8_t *at = bulk->buf;
	int ret = 0;

	while (count && !ret) {
		bool is_zero;
		uint64_t run = zero_run(at, count, &is_zero);
		struct wire_frame frame = {
			.type = is_zero ? WIRE_F_ZERO : WIRE_F_PAGES,
			.object = object,
			.vaddr = vaddr,
			.nr_pages = (uint32_t)run,
		};

		ret = is_zero ? frame_send(bulk->channel, &bulk->out, &frame, NULL, 0,
					   SERVER_STALL_MS)
			      : send_pages(bulk, &frame, at);
		atomic_fetch_add(is_zero ? &bulk->server->zero_pages : &bulk->server->bulk_pages,
				 run);
		vaddr += run * WIRE_PAGE;
		at += run * WIRE_PAGE;
		count -= run;
	}
	return ret;
}

static int push_run(struct bulk *bulk, struct provider_object *object, uint64_t index,
		    uint64_t count)
{
	uint64_t vaddr = provider_address(object, index), done;
	int ret = 0;

	atomic_store(&bulk->server->has_delivered, true);
	for (; count && !ret; count -= done, vaddr += done * WIRE_PAGE) {
		if (provider_read(object, vaddr, count, bulk->buf, &done) == PROVIDER_DATA) {
			ret = push_data(bulk, provider_object_name(object), vaddr, done);
		} else {
			struct wire_frame frame = {
				.type = WIRE_F_GONE,
				.object = provider_object_name(object),
				.vaddr = vaddr,
				.nr_pages = (uint32_t)done,
			};

			atomic_fetch_add(&bulk->server->gone_pages, done);
			ret = frame_send(bulk->channel, &bulk->out, &frame, NULL, 0,
					 SERVER_STALL_MS);
		}
	}
	return ret;
}

/* ---- what next ---------------------------------------------------------------- */

static uint64_t next_priority(struct bulk *bulk, struct provider_object **object, uint64_t *first)
{
	struct range_queue *queue = &bulk->session->priority;

	for (; queue->next < queue->count; queue->next++) {
		uint64_t index = queue->items[queue->next].index;
		uint64_t end = queue->items[queue->next].end, count;

		*object = queue->items[queue->next].object;
		count = session_take(bulk->session, *object, index, end, bulk->piece, first);
		if (count) {
			queue->items[queue->next].index = *first + count;
			return count;
		}
	}
	queue->count = queue->next = 0;
	return 0;
}

static uint64_t next_owed(struct bulk *bulk, struct provider_object **object, uint64_t *first)
{
	const struct provider *pages = bulk->server->params.pages;

	for (; bulk->slot < provider_count(pages); bulk->slot++, bulk->index = 0) {
		uint64_t count;

		*object = provider_at(pages, bulk->slot);
		count = session_take(bulk->session, *object, bulk->index, provider_pages(*object),
				     bulk->piece, first);
		if (count) {
			bulk->index = *first + count;
			return count;
		}
	}
	return 0;
}

static int push_next(struct bulk *bulk)
{
	struct provider_object *object;
	uint64_t first, count = next_priority(bulk, &object, &first);

	if (!count)
		count = next_owed(bulk, &object, &first);
	if (count)
		return push_run(bulk, object, first, count);
	bulk->is_pushing = false;
	return send_simple(bulk, WIRE_F_END, 0);
}

/* ---- what the client says ------------------------------------------------------- */

static int add_priority(struct bulk *bulk, struct provider_object *object, uint64_t index,
			uint64_t count)
{
	struct range_queue *queue = &bulk->session->priority;

	if (queue->count == queue->capacity) {
		size_t capacity = queue->capacity ? queue->capacity * 2 : 256;
		void *grown;

		if (capacity > PRIORITY_MAX)
			return -EPROTO;
		grown = realloc(queue->items, capacity * sizeof(*queue->items));
		if (!grown)
			return -ENOMEM;
		queue->items = grown;
		queue->capacity = capacity;
	}
	queue->items[queue->count].object = object;
	queue->items[queue->count].index = index;
	queue->items[queue->count++].end = index + count;
	return 0;
}

static int apply_run(struct bulk *bulk, uint32_t type, struct provider_object *object,
		     uint64_t index, uint64_t count)
{
	switch (type) {
	case WIRE_F_OWED:
		/* New debts may lie before what is being pushed. */
		bulk->slot = bulk->index = 0;
		return session_owe(bulk->session, object, index, count);
	case WIRE_F_PRIORITY:
		return add_priority(bulk, object, index, count);
	default: /* DROP, CONFIRM: not to be sent (any more) */
		session_disown(bulk->session, object, index, count);
		return 0;
	}
}

/* Only the pages of the range that the source has. */
static int apply_range(struct bulk *bulk, uint32_t type, struct provider_object *object,
		       const struct wire_range *range)
{
	uint64_t vaddr = range->vaddr, end = vaddr + range->nr_pages * WIRE_PAGE;
	int ret = 0;

	while (!ret && vaddr < end) {
		uint64_t run, index = provider_index(object, vaddr, &run), at;

		if (!run)
			break;
		at = provider_address(object, index);
		if (at >= end)
			break;
		if (run > (end - at) / WIRE_PAGE)
			run = (end - at) / WIRE_PAGE;
		ret = apply_run(bulk, type, object, index, run);
		vaddr = at + run * WIRE_PAGE;
	}
	return ret;
}

static int apply_all(struct bulk *bulk, const struct wire_frame *frame)
{
	const struct provider *pages = bulk->server->params.pages;
	int ret = 0;

	for (size_t i = 0; i < provider_count(pages) && !ret; i++) {
		struct provider_object *object = provider_at(pages, i);

		if (!frame->object || frame->object == provider_object_name(object))
			ret = apply_run(bulk, frame->type, object, 0, provider_pages(object));
	}
	return ret;
}

static int apply_ranges(struct bulk *bulk, const struct wire_frame *frame)
{
	struct provider_object *object = provider_find(bulk->server->params.pages, frame->object);
	int ret = 0;

	if (frame->flags & WIRE_ALL)
		return apply_all(bulk, frame);
	/* What we do not have is not pushed; asked for, it is answered GONE. */
	for (size_t i = 0; object && !ret && i < frame_range_count(frame); i++)
		ret = apply_range(bulk, frame->type, object, &bulk->ranges[i]);
	return ret;
}

static int listen_to_client(struct bulk *bulk)
{
	struct wire_frame frame;
	int ret = frame_receive(bulk->channel, &bulk->in, &frame, SERVER_STALL_MS);

	if (!ret)
		ret = frame_receive_payload(bulk->channel, &bulk->in, &frame, bulk->ranges,
					    WIRE_RANGES_MAX * sizeof(*bulk->ranges),
					    SERVER_STALL_MS);
	if (ret)
		return ret;
	if (frame_has_ranges(frame.type))
		return apply_ranges(bulk, &frame);
	switch (frame.type) {
	case WIRE_F_START:
		atomic_store(&bulk->session->is_started, true);
		bulk->is_pushing = true;
		return 0;
	case WIRE_F_RATE:
		log_info("client %s: limits bulk to %llu bytes per second",
			 channel_peer(bulk->channel), (unsigned long long)frame.vaddr);
		rate_set(&bulk->server->rate, frame.vaddr);
		return 0;
	case WIRE_F_PING:
		return send_simple(bulk, WIRE_F_PONG, frame.seq);
	case WIRE_F_DONE:
		log_info("client %s: has all it wants", channel_peer(bulk->channel));
		atomic_store(&bulk->session->is_done, true);
		bulk->is_done = true;
		ret = send_simple(bulk, WIRE_F_BYE, 0);
		server_wake(bulk->server);
		return ret;
	default:
		return 0;
	}
}

static int serve(struct bulk *bulk)
{
	int ret = 0;

	while (!ret && !bulk->is_done) {
		ret = channel_wait(bulk->channel, -1, bulk->is_pushing ? 0 : -1);
		if (!ret)
			ret = listen_to_client(bulk);
		else if (ret == -ETIMEDOUT)
			ret = push_next(bulk);
	}
	return ret;
}

int bulk_serve(struct connection *connection, struct session *session, uint32_t features)
{
	scoped_free uint8_t *buf = malloc(PIECE_MAX * WIRE_PAGE);
	scoped_free uint8_t *packed = malloc(PIECE_MAX * WIRE_PAGE);
	scoped_free struct wire_range *ranges = calloc(WIRE_RANGES_MAX, sizeof(*ranges));
	struct bulk bulk = {
		.server = connection->server,
		.session = session,
		.channel = connection->channel,
		.in = { WIRE_BULK, false, features },
		.out = { WIRE_BULK, true, features },
		.buf = buf,
		.packed = packed,
		.ranges = ranges,
		.piece = PIECE_MIN,
	};

	if (!buf || !packed || !ranges)
		return -ENOMEM;
	pace_init(&bulk.pace);
	priority_bulk();
	session_forget(bulk.server, session); /* it says anew what it lacks */
	return serve(&bulk);
}
