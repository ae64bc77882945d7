// SPDX-License-Identifier: GPL-2.0
/* The handshake of the own protocol. */
#include <errno.h>
#include <string.h>

#include "options/options.h"
#include "transport/server_impl.h"
#include "transport/token.h"
#include "util/log.h"

static int skip_bytes(struct channel *channel, uint64_t len)
{
	uint8_t rest[512];

	while (len) {
		size_t piece = len < sizeof(rest) ? len : sizeof(rest);
		int ret = channel_read(channel, rest, piece, SERVER_HELLO_MS);

		if (ret)
			return ret;
		len -= piece;
	}
	return 0;
}

static int receive_hello(struct channel *channel, const struct wire_record *first,
			 struct wire_hello *hello)
{
	int ret;

	if (first->vaddr != WIRE_MAGIC || first->nr_pages < 1 || first->dst_id < sizeof(*hello) ||
	    first->dst_id > WIRE_HELLO_MAX)
		return -EPROTO;
	ret = channel_read(channel, hello, sizeof(*hello), SERVER_HELLO_MS);
	if (!ret)
		ret = skip_bytes(channel, first->dst_id - sizeof(*hello));
	if (!ret && hello->channel != WIRE_DEMAND && hello->channel != WIRE_BULK)
		ret = -EPROTO;
	return ret;
}

/* A set without a token (CRIU made it) is as open as CRIU's server. */
static int check_token(const struct connection *connection, const struct wire_hello *hello)
{
	const struct server_params *params = &connection->server->params;
	const struct token *ours = params->token;
	struct token shown;

	memcpy(shown.bytes, hello->token, sizeof(shown.bytes));
	if (ours)
		return token_equal(ours, &shown) ? 0 : -EACCES;
	return channel_is_tls(connection->channel) || channel_is_local(connection->channel) ||
			       params->opts->allow_compat
		       ? 0
		       : -EACCES;
}

static int welcome(const struct connection *connection, const struct wire_hello *hello,
		   int32_t status, uint32_t features)
{
	struct wire_welcome answer = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.status = status,
		.features = features,
	};

	memcpy(answer.session, hello->session, sizeof(answer.session));
	return channel_write_bytes(connection->channel, &answer, sizeof(answer), SERVER_HELLO_MS);
}

static uint32_t agree(const struct connection *connection, const struct wire_hello *hello)
{
	uint32_t ours = WIRE_FEATURE_CRC32C;

	if (connection->server->params.opts->compress != COMPRESS_NONE)
		ours |= WIRE_FEATURE_LZ4;
	return hello->features & ours;
}

static void serve_session(struct connection *connection, struct session *session,
			  const struct wire_hello *hello)
{
	uint32_t features = agree(connection, hello);
	struct channel *channel = connection->channel;
	int ret = welcome(connection, hello, 0, features);

	if (ret)
		return;
	log_info("client %s: %s channel", channel_peer(channel),
		 hello->channel == WIRE_DEMAND ? "demand" : "bulk");
	if (hello->channel == WIRE_DEMAND) {
		channel_tune_demand(channel, SERVER_DEAD_MS);
		ret = demand_serve(connection, session, features);
	} else {
		channel_tune_bulk(channel, SERVER_QUEUE, SERVER_DEAD_MS);
		ret = bulk_serve(connection, session, features);
	}
	if (ret == -EPROTO || ret == -EBADMSG)
		log_warn("client %s: sent what no client sends, dropped", channel_peer(channel));
	else if (ret == -ETIMEDOUT)
		log_warn("client %s: took nothing for %d s, dropped", channel_peer(channel),
			 SERVER_STALL_MS / 1000);
	else if (ret && !atomic_load(&session->is_done))
		log_info("client %s: connection lost (%s); what it is owed is kept",
			 channel_peer(channel), strerror(-ret));
}

void own_serve(struct connection *connection, const struct wire_record *first)
{
	struct server *server = connection->server;
	struct channel *channel = connection->channel;
	struct session *session;
	struct wire_hello hello;
	int ret = receive_hello(channel, first, &hello);

	if (ret) {
		log_warn("client %s: no proper greeting, dropped", channel_peer(channel));
		return;
	}
	ret = check_token(connection, &hello);
	if (ret)
		log_warn("client %s: refused, its images are not those of this source",
			 channel_peer(channel));
	if (!ret) {
		server_meet(server);
		ret = session_get(server, &hello, channel, &session);
		if (ret)
			log_warn("client %s: refused, too many clients", channel_peer(channel));
	}
	if (ret) {
		welcome(connection, &hello, ret, 0);
		return;
	}
	serve_session(connection, session, &hello);
	session_put(server, session, channel);
}
