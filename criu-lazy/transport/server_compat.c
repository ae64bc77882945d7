// SPDX-License-Identifier: GPL-2.0
/* CRIU's lazy-pages daemon: it asks for pages by GET, one request after the other. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "mem/pagemap_flags.h"
#include "options/options.h"
#include "transport/server_impl.h"
#include "util/log.h"
#include "util/scope.h"

enum { GET_PAGES = 1024 }; /* of one answer: it may have fewer pages than asked for */

static int send_status(struct channel *channel, int32_t status)
{
	return channel_write_bytes(channel, &status, sizeof(status), SERVER_STALL_MS);
}

/* There is no word for "gone" in this protocol: the connection ends, and the client with it. */
static int serve_get(struct connection *connection, const struct wire_record *get, uint8_t *buf)
{
	struct server *server = connection->server;
	struct provider_object *object = provider_find_id(server->params.pages, get->dst_id);
	struct wire_record answer = {
		.cmd = WIRE_ADD_F | (uint32_t)PE_PRESENT << WIRE_FLAGS_SHIFT,
		.vaddr = get->vaddr,
		.dst_id = get->dst_id,
	};
	uint64_t count = get->nr_pages < GET_PAGES ? get->nr_pages : GET_PAGES;

	if (!count || get->vaddr % WIRE_PAGE || get->vaddr >> 63 || !object)
		return -EPROTO;
	if (provider_read(object, get->vaddr, count, buf, &answer.nr_pages) != PROVIDER_DATA) {
		log_err("client %s: asks for page 0x%" PRIx64 " of %" PRIu64
			", which cannot be had",
			channel_peer(connection->channel), get->vaddr, get->dst_id);
		return -EFAULT;
	}
	atomic_store(&server->has_delivered, true);
	atomic_fetch_add(&server->demand_pages, answer.nr_pages);
	struct iovec parts[] = { { &answer, sizeof(answer) },
				 { buf, answer.nr_pages * WIRE_PAGE } };
	int ret;

	if (!channel_is_tls(connection->channel))
		return channel_write(connection->channel, parts, 2, SERVER_STALL_MS);
	/* CRIU's client polls the socket before it reads the pages: they must not be in the TLS
	 * record that it has read the header of. */
	ret = channel_write(connection->channel, parts, 1, SERVER_STALL_MS);
	return ret ? ret : channel_write(connection->channel, parts + 1, 1, SERVER_STALL_MS);
}

static int serve_record(struct connection *connection, const struct wire_record *record,
			uint8_t *buf, bool *is_done)
{
	switch (record->cmd & WIRE_CMD_MASK) {
	case WIRE_GET:
		return serve_get(connection, record, buf);
	case WIRE_CLOSE &WIRE_CMD_MASK:
	case WIRE_FORCE_CLOSE &WIRE_CMD_MASK:
		*is_done = true;
		return send_status(connection->channel, 0);
	default:
		return -EPROTO;
	}
}

static bool may_ask(const struct connection *connection)
{
	/* A connection that our caller made is his choice; to a socket anybody may come. */
	bool is_given = connection->server->params.opts->ps_socket >= 0 &&
			connection->server->listen_fd < 0;

	return channel_is_local(connection->channel) || channel_is_tls(connection->channel) ||
	       is_given || connection->server->params.opts->allow_compat;
}

static void count_client(struct server *server, int busy, int done)
{
	pthread_mutex_lock(&server->lock);
	server->compat_busy += (unsigned int)busy;
	server->compat_done += (unsigned int)done;
	pthread_mutex_unlock(&server->lock);
}

void compat_serve(struct connection *connection, const struct wire_record *first)
{
	scoped_free uint8_t *buf = malloc(GET_PAGES * WIRE_PAGE);
	struct server *server = connection->server;
	struct wire_record record = *first;
	bool is_done = false;
	int ret = buf ? 0 : -ENOMEM;

	if (!may_ask(connection)) {
		log_warn("client %s: refused, it shows no token: CRIU's lazy-pages daemon is "
			 "served from this host, with --tls or with --allow-compat",
			 channel_peer(connection->channel));
		return;
	}
	server_meet(server);
	log_info("client %s: CRIU's protocol", channel_peer(connection->channel));
	channel_tune_demand(connection->channel, SERVER_DEAD_MS);
	atomic_fetch_add(&server->clients, 1);
	count_client(server, 1, 0);
	while (!ret && !is_done) {
		ret = serve_record(connection, &record, buf, &is_done);
		if (!ret && !is_done)
			ret = channel_read(connection->channel, &record, sizeof(record), -1);
	}
	if (!is_done)
		log_warn("client %s: gone without a good-bye (%s)",
			 channel_peer(connection->channel), strerror(-ret));
	count_client(server, -1, is_done);
	server_wake(server);
}
