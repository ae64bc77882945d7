// SPDX-License-Identifier: GPL-2.0
/*
 * The engine's side of the demand channel. Nothing waits: a GET that does not fit into the socket's
 * buffer (they are 40 bytes, and few are under way) means that the link hangs, and drops it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mem/pagemap_flags.h"
#include "transport/client_impl.h"
#include "util/log.h"

enum { FRAMES_AT_ONCE = 64 };

/* ---- asking -------------------------------------------------------------------- */

static int remember_get(struct client *client, struct landing *landing,
			const struct landing_run *run)
{
	size_t tail;

	if (client->gets_count == client->gets_room) {
		size_t room = client->gets_room ? 2 * client->gets_room : 64;
		struct landing_get *grown = calloc(room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		for (size_t i = 0; i < client->gets_count; i++)
			grown[i] = client->gets[(client->gets_head + i) % client->gets_room];
		free(client->gets);
		client->gets = grown;
		client->gets_room = room;
		client->gets_head = 0;
	}
	tail = (client->gets_head + client->gets_count++) % client->gets_room;
	client->gets[tail] = (struct landing_get){ landing, run->vaddr, run->nr_pages };
	return 0;
}

static int send_compat(struct client *client, struct landing *landing,
		       const struct landing_run *run)
{
	struct wire_record record = {
		.cmd = WIRE_GET,
		.nr_pages = run->nr_pages,
		.vaddr = run->vaddr,
		.dst_id = wire_object_id(landing_object(landing)),
	};
	int ret = remember_get(client, landing, run);

	return ret ? ret : channel_write_bytes(client->engine_demand, &record, sizeof(record), 0);
}

static int send_own(struct client *client, const struct landing *landing,
		    const struct landing_run *run)
{
	struct frame_rules rules = { WIRE_DEMAND, false, client->features };
	struct wire_frame frame = {
		.type = WIRE_F_GET,
		.object = landing_object(landing),
		.vaddr = run->vaddr,
		.nr_pages = (uint32_t)run->nr_pages,
		.seq = ++client->seq,
	};

	return frame_send(client->engine_demand, &rules, &frame, NULL, 0, 0);
}

int demand_send(struct client *client, struct landing *landing, const struct landing_run *run)
{
	int ret = client->engine_is_compat ? send_compat(client, landing, run)
					   : send_own(client, landing, run);

	if (ret)
		return ret;
	client->asked_bytes += run->nr_pages * WIRE_PAGE;
	client->figures.gets++;
	client->figures.pages_asked += run->nr_pages;
	return 0;
}

/* ---- answers ------------------------------------------------------------------- */

/* In the arena, if there is room: memory that is given back piece by piece interrupts the other
 * processors for each. */
static void store(struct client *client, struct landing *landing, uint64_t vaddr, uint64_t nr_pages,
		  enum landing_what what, const void *bytes, struct landing_slots *slots)
{
	uint64_t len = nr_pages * WIRE_PAGE;
	uint8_t *room = NULL;

	if (what == LANDING_STORE_BYTES && len <= ARENA_BLOCK)
		room = arena_reserve(client->arena, &client->demand_room, len);
	if (!room) {
		landing_store(landing, vaddr, nr_pages, what, bytes, slots);
		return;
	}
	memcpy(room, bytes, len);
	arena_keep(client->arena, &client->demand_room, nr_pages);
	landing_adopt(landing, vaddr, nr_pages, client->arena, room, slots);
}

static void land(struct client *client, struct landing *landing, uint64_t vaddr, uint64_t nr_pages,
		 enum landing_what what, const void *bytes, const struct client_events *events,
		 void *ctx)
{
	uint64_t len = nr_pages * WIRE_PAGE;
	struct landing_slots slots;

	store(client, landing, vaddr, nr_pages, what, bytes, &slots);
	client->asked_bytes -= len < client->asked_bytes ? len : client->asked_bytes;
	if (!slots.count)
		return;
	atomic_fetch_add(&client->undelivered, slots.bytes);
	events->landed(ctx, landing, slots);
}

static int answer_ping(struct client *client, const struct wire_frame *ping)
{
	struct frame_rules rules = { WIRE_DEMAND, false, client->features };
	struct wire_frame pong = { .type = WIRE_F_PONG, .seq = ping->seq };

	return frame_send(client->engine_demand, &rules, &pong, NULL, 0, 0);
}

static int take_frame(struct client *client, const struct wire_frame *frame, const void *payload,
		      const struct client_events *events, void *ctx)
{
	static uint8_t unpacked[WIRE_PAGES_MAX * WIRE_PAGE];
	enum landing_what what = LANDING_STORE_BYTES;
	struct landing *landing;

	if (frame->type == WIRE_F_PING)
		return answer_ping(client, frame);
	if (frame->type == WIRE_F_PONG)
		return 0;
	landing = client_find_landing(client, frame->object);
	if (!landing)
		return -EPROTO;
	if (frame->type == WIRE_F_ZERO)
		what = LANDING_STORE_ZEROS;
	else if (frame->type == WIRE_F_GONE)
		what = LANDING_STORE_GONE;
	if (frame->flags & WIRE_LZ4) {
		int ret = frame_unpack(frame, payload, unpacked);

		if (ret)
			return ret;
		payload = unpacked;
	}
	land(client, landing, frame->vaddr, frame->nr_pages, what, payload, events, ctx);
	return 0;
}

static int read_own(struct client *client, const struct client_events *events, void *ctx)
{
	struct frame_rules rules = { WIRE_DEMAND, true, client->features };

	for (int i = 0; i < FRAMES_AT_ONCE; i++) {
		struct wire_frame frame;
		const void *payload;
		int ret = reader_frame(&client->reader, client->engine_demand, &rules, 0, &frame,
				       &payload);

		if (ret == -ETIMEDOUT)
			return 0;
		if (!ret)
			ret = take_frame(client, &frame, payload, events, ctx);
		if (ret)
			return ret;
	}
	client_signal(
		client->event_fd); /* TLS and the reader may hold more than the socket shows */
	return 0;
}

/* An answer may bring fewer pages than were asked for: the rest is asked for again. */
static int take_record(struct client *client, const struct wire_record *record,
		       const uint8_t *pages, const struct client_events *events, void *ctx)
{
	struct landing_get get = client->gets[client->gets_head];
	bool is_present = record->cmd >> WIRE_FLAGS_SHIFT & PE_PRESENT;
	uint64_t count = record->nr_pages;

	client->gets_head = (client->gets_head + 1) % client->gets_room;
	client->gets_count--;
	if (!is_present || !count) {
		count = count ? count : get.nr_pages;
		log_warn("page server: no pages at 0x%" PRIx64 " of %" PRIu64, get.vaddr,
			 wire_object_id(landing_object(get.landing)));
		land(client, get.landing, get.vaddr, count, LANDING_STORE_GONE, NULL, events, ctx);
	} else {
		land(client, get.landing, get.vaddr, count, LANDING_STORE_BYTES, pages, events,
		     ctx);
	}
	if (count < get.nr_pages) {
		struct landing_run rest = { get.vaddr + count * WIRE_PAGE, get.nr_pages - count };

		client->asked_bytes -= rest.nr_pages * WIRE_PAGE < client->asked_bytes
					       ? rest.nr_pages * WIRE_PAGE
					       : client->asked_bytes;
		return demand_send(client, get.landing, &rest);
	}
	return 0;
}

static int check_record(const struct client *client, const struct wire_record *record)
{
	const struct landing_get *get = &client->gets[client->gets_head];

	if ((record->cmd & WIRE_CMD_MASK) != WIRE_ADD_F || !client->gets_count)
		return -EPROTO;
	if (record->vaddr != get->vaddr || record->nr_pages > get->nr_pages)
		return -EPROTO;
	return 0;
}

static int read_compat(struct client *client, const struct client_events *events, void *ctx)
{
	for (int i = 0; i < FRAMES_AT_ONCE; i++) {
		struct wire_record record;
		const void *bytes;
		size_t len = sizeof(record);
		int ret = reader_peek(&client->reader, client->engine_demand, len, 0, &bytes);

		if (ret)
			return ret == -ETIMEDOUT ? 0 : ret;
		memcpy(&record, bytes, len);
		ret = check_record(client, &record);
		if (ret)
			return log_ret(ret,
				       "page server: record 0x%x, %" PRIu64 " pages at 0x%" PRIx64
				       " answers nothing we asked",
				       record.cmd, record.nr_pages, record.vaddr);
		if (record.cmd >> WIRE_FLAGS_SHIFT & PE_PRESENT)
			len += record.nr_pages * WIRE_PAGE;
		ret = reader_peek(&client->reader, client->engine_demand, len, 0, &bytes);
		if (ret)
			return ret == -ETIMEDOUT ? 0 : ret;
		reader_take(&client->reader, len);
		ret = take_record(client, &record, (const uint8_t *)bytes + sizeof(record), events,
				  ctx);
		if (ret)
			return ret;
	}
	client_signal(client->event_fd);
	return 0;
}

int demand_read(struct client *client, const struct client_events *events, void *ctx)
{
	return client->engine_is_compat ? read_compat(client, events, ctx)
					: read_own(client, events, ctx);
}
