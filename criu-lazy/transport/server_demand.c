// SPDX-License-Identifier: GPL-2.0
/* The demand channel: a page asked for is read and answered at once, in small frames. */
#include <errno.h>

#include "transport/server_impl.h"
#include "transport/zero.h"
#include "util/priority.h"
#include "util/scope.h"

enum { ANSWER_PAGES = 32 };

struct demand {
	struct server *server;
	struct session *session;
	struct channel *channel;
	struct frame_rules in, out;
	uint8_t *buf;
};

static int answer(struct demand *demand, const struct wire_frame *get, uint32_t type, uint64_t page,
		  uint64_t count, const void *data)
{
	struct wire_frame frame = {
		.type = type,
		.object = get->object,
		.vaddr = get->vaddr + page * WIRE_PAGE,
		.nr_pages = (uint32_t)count,
		.seq = get->seq,
		.flags = page + count == get->nr_pages ? WIRE_LAST : 0,
	};

	return frame_send(demand->channel, &demand->out, &frame, data, data ? count * WIRE_PAGE : 0,
			  SERVER_STALL_MS);
}

/* Data, with runs of zero pages told apart. */
static int answer_data(struct demand *demand, const struct wire_frame *get, uint64_t page,
		       uint64_t count)
{
	const uint8_t *at = demand->buf;
	int ret = 0;

	while (count && !ret) {
		bool is_zero;
		uint64_t run = zero_run(at, count, &is_zero);

		ret = answer(demand, get, is_zero ? WIRE_F_ZERO : WIRE_F_PAGES, page, run,
			     is_zero ? NULL : at);
		atomic_fetch_add(
			is_zero ? &demand->server->zero_pages : &demand->server->demand_pages, run);
		page += run;
		at += run * WIRE_PAGE;
		count -= run;
	}
	return ret;
}

/* What is on its way here is not to be pushed as well. */
static void mark_sent(struct demand *demand, struct provider_object *object, uint64_t vaddr,
		      uint64_t count)
{
	uint64_t run, index = provider_index(object, vaddr, &run);

	session_disown(demand->session, object, index, count < run ? count : run);
}

static int serve_get(struct demand *demand, const struct wire_frame *get)
{
	struct provider_object *object = provider_find(demand->server->params.pages, get->object);
	uint64_t page = 0;
	int ret = 0;

	atomic_store(&demand->session->is_started, true);
	atomic_store(&demand->server->has_delivered, true);
	if (!object)
		return answer(demand, get, WIRE_F_GONE, 0, get->nr_pages, NULL);
	while (page < get->nr_pages && !ret) {
		uint64_t vaddr = get->vaddr + page * WIRE_PAGE, count = get->nr_pages - page, done;

		if (count > ANSWER_PAGES)
			count = ANSWER_PAGES;
		if (provider_read(object, vaddr, count, demand->buf, &done) == PROVIDER_DATA) {
			mark_sent(demand, object, vaddr, done);
			ret = answer_data(demand, get, page, done);
		} else {
			atomic_fetch_add(&demand->server->gone_pages, done);
			ret = answer(demand, get, WIRE_F_GONE, page, done, NULL);
		}
		page += done;
	}
	return ret;
}

int demand_serve(struct connection *connection, struct session *session, uint32_t features)
{
	scoped_free uint8_t *buf = malloc(ANSWER_PAGES * WIRE_PAGE);
	struct demand demand = {
		.server = connection->server,
		.session = session,
		.channel = connection->channel,
		.in = { WIRE_DEMAND, false, features },
		.out = { WIRE_DEMAND, true, features & ~(uint32_t)WIRE_FEATURE_LZ4 },
		.buf = buf,
	};
	struct wire_frame frame;
	int ret = buf ? 0 : -ENOMEM;

	priority_quick();
	while (!ret) {
		ret = frame_receive(demand.channel, &demand.in, &frame, -1);
		if (ret)
			break;
		if (frame.type == WIRE_F_GET) {
			ret = serve_get(&demand, &frame);
		} else if (frame.type == WIRE_F_PING) {
			frame.type = WIRE_F_PONG;
			ret = frame_send(demand.channel, &demand.out, &frame, NULL, 0,
					 SERVER_STALL_MS);
		}
	}
	return ret;
}
