// SPDX-License-Identifier: GPL-2.0
/*
 * The link thread: connections to the source, and what it pushes.
 *
 * A loss of either connection is a loss of both: the engine's GETs that were under way and the
 * ranges that were said are forgotten by both sides, and told again on the next pair. Nothing that
 * was received whole is lost by that, and nothing that was not is believed.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "transport/client_impl.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/priority.h"
#include "util/scope.h"

enum {
	CONNECT_MS = 3000,
	HANDSHAKE_MS = 10000,
	BACKOFF_MIN_MS = 20,
	BACKOFF_MAX_MS = 1000,
	DEAD_MS = 3000,		 /* own protocol: a silent link is dropped, and made again */
	DEAD_COMPAT_MS = 900000, /* CRIU's: a dropped link is the end */
	BULK_QUEUE = 1 << 20,
	SAY_MS = 30000,
	READER_ROOM = 128 << 10,
	LARGE_PAYLOAD = 16 << 10,
	ROOM_BLOCKS = 4,
};
#define UNDELIVERED_MAX (64ull << 20)
#define ROOM_NS		50000000

void client_signal(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_debug("eventfd: %s", strerror(errno));
}

static void clear_wake(struct client *client)
{
	uint64_t count;

	if (read(client->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_debug("eventfd: %s", strerror(errno));
}

/* Any thread; the caller holds no lock. */
struct landing *client_find_landing(struct client *client, uint64_t object)
{
	struct landing *found = NULL;

	pthread_mutex_lock(&client->lock);
	for (size_t i = 0; i < client->nr_landings && !found; i++) {
		if (landing_object(client->landings[i]) == object)
			found = client->landings[i];
	}
	pthread_mutex_unlock(&client->lock);
	return found;
}

/* ---- connecting ------------------------------------------------------------------ */

static int wait_connected(struct client *client, int fd)
{
	struct pollfd fds[] = { { .fd = fd, .events = POLLOUT },
				{ .fd = client->wake_fd, .events = POLLIN } };
	int error = 0, ret = poll(fds, 2, CONNECT_MS);
	socklen_t len = sizeof(error);

	if (ret < 0)
		return -errno;
	if (!ret)
		return -ETIMEDOUT;
	if (fds[1].revents)
		return -ECANCELED;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return -errno;
	return -error;
}

static int connect_one(struct client *client, const struct addrinfo *info, int *out)
{
	scoped_fd int fd =
		socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, info->ai_addr, info->ai_addrlen)) {
		int ret = errno == EINPROGRESS ? wait_connected(client, fd) : -errno;

		if (ret)
			return ret;
	}
	*out = take_fd(&fd);
	return 0;
}

static int connect_any(struct client *client, const char *host, uint16_t port, int *out)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	int ret = -EHOSTUNREACH;
	char service[8];

	snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(host, service, &hints, &list))
		return -EHOSTUNREACH;
	for (struct addrinfo *at = list; at && ret && ret != -ECANCELED; at = at->ai_next)
		ret = connect_one(client, at, out);
	freeaddrinfo(list);
	return ret;
}

static int say_hello(struct client *client, struct channel *channel, enum wire_channel kind)
{
	struct wire_record record = { .cmd = WIRE_HELLO,
				      .nr_pages = WIRE_VERSION,
				      .vaddr = WIRE_MAGIC,
				      .dst_id = sizeof(struct wire_hello) };
	struct wire_hello hello = { .channel = kind,
				    .features = WIRE_FEATURE_CRC32C |
						(client->want_lz4 ? WIRE_FEATURE_LZ4 : 0) };
	struct iovec parts[] = { { &record, sizeof(record) }, { &hello, sizeof(hello) } };

	memcpy(hello.token, client->token.bytes, sizeof(hello.token));
	memcpy(hello.session, client->session, sizeof(hello.session));
	return channel_write(channel, parts, 2, HANDSHAKE_MS);
}

static int hear_welcome(struct client *client, struct channel *channel)
{
	struct wire_welcome welcome;
	int ret = channel_read(channel, &welcome, sizeof(welcome), HANDSHAKE_MS);

	if (ret)
		return ret;
	if (welcome.magic != WIRE_MAGIC || welcome.version != WIRE_VERSION ||
	    memcmp(welcome.session, client->session, sizeof(welcome.session)) ||
	    welcome.features & ~(WIRE_FEATURE_LZ4 | WIRE_FEATURE_CRC32C))
		return log_ret(-EPROTO, "%s: its welcome is not ours, version %u",
			       channel_peer(channel), welcome.version);
	if (welcome.status)
		return log_ret(welcome.status < 0 ? welcome.status : -EPROTO,
			       "%s: the source refuses us", channel_peer(channel));
	client->features = welcome.features;
	return 0;
}

static int open_channel(struct client *client, const char *host, uint16_t port,
			enum wire_channel kind, struct channel **out)
{
	struct channel *channel;
	int fd = take_fd(&client->given_fd);
	int ret = fd < 0 ? connect_any(client, host, port, &fd) : 0;

	if (ret)
		return ret;
	ret = channel_new(fd, &channel);
	if (ret)
		return ret;
	if (client->tls)
		ret = channel_start_tls(channel, client->tls, false,
					client->verify_name ? host : NULL, HANDSHAKE_MS);
	if (kind == WIRE_DEMAND)
		channel_tune_demand(channel, client->has_token ? DEAD_MS : DEAD_COMPAT_MS);
	else
		channel_tune_bulk(channel, BULK_QUEUE, DEAD_MS);
	if (!ret && client->has_token)
		ret = say_hello(client, channel, kind);
	if (!ret && client->has_token)
		ret = hear_welcome(client, channel);
	if (ret) {
		channel_free(channel);
		return ret;
	}
	*out = channel;
	return 0;
}

static int open_channels(struct client *client, struct channel **demand, struct channel **bulk)
{
	scoped_free char *host = NULL;
	uint16_t port;
	int ret;

	pthread_mutex_lock(&client->lock);
	host = strdup(client->host);
	port = client->port;
	client->is_moved = false;
	pthread_mutex_unlock(&client->lock);
	if (!host)
		return -ENOMEM;
	ret = open_channel(client, host, port, WIRE_DEMAND, demand);
	if (!ret && client->has_token)
		ret = open_channel(client, host, port, WIRE_BULK, bulk);
	return ret;
}

/* ---- receiving --------------------------------------------------------------------- */

static bool extends(const struct post *last, const struct landing *landing,
		    const struct landing_slots *slots)
{
	return last->landing == landing && last->slots.first + last->slots.count == slots->first;
}

void client_post(struct client *client, struct landing *landing, const struct landing_slots *slots)
{
	bool was_empty;

	atomic_fetch_add(&client->undelivered, slots->bytes);
	pthread_mutex_lock(&client->lock);
	was_empty = !client->nr_posts;
	client->figures.pages_pushed += slots->count;
	if (!was_empty && extends(&client->posts[client->nr_posts - 1], landing, slots)) {
		client->posts[client->nr_posts - 1].slots.count += slots->count;
	} else {
		if (client->nr_posts == client->posts_room) {
			size_t room = client->posts_room ? 2 * client->posts_room : 256;
			void *grown = realloc(client->posts, room * sizeof(*client->posts));

			if (!grown)
				abort(); /* the supervisor knows what to do; nothing else is right
					  */
			client->posts = grown;
			client->posts_room = room;
		}
		client->posts[client->nr_posts++] = (struct post){ landing, *slots };
	}
	pthread_mutex_unlock(&client->lock);
	if (was_empty)
		client_signal(client->event_fd);
}

/* Not for each block: waking a thread costs the engine more than a page. */
bool client_has_room(const struct client *client)
{
	return atomic_load(&client->undelivered) <= UNDELIVERED_MAX &&
	       arena_free_blocks(client->arena) >= ROOM_BLOCKS;
}

/*
 * Not more than the engine can take; demand does not pass here. -ETIMEDOUT: pages that cannot be
 * delivered yet may be keeping whole blocks of the arena. -EPIPE: the link is over.
 */
static int wait_for_room(struct client *client)
{
	struct timespec deadline;
	bool is_over = false;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += (deadline.tv_nsec + ROOM_NS) / 1000000000;
	deadline.tv_nsec = (deadline.tv_nsec + ROOM_NS) % 1000000000;
	pthread_mutex_lock(&client->lock);
	atomic_store(&client->is_waiting, true);
	while (!ret && !is_over && !client_has_room(client)) {
		ret = pthread_cond_timedwait(&client->room, &client->lock, &deadline);
		is_over = client->state != LINK_UP || client->is_stopping || client->is_moved;
	}
	atomic_store(&client->is_waiting, false);
	pthread_mutex_unlock(&client->lock);
	return is_over ? -EPIPE : -ret;
}

/* What a bulk connection is received with. */
struct bulk_reader {
	struct reader reader;
	struct frame_rules rules;
	uint8_t *packed; /* a payload that does not lie in the arena */
	struct landing *last;
};

/* Where the frame's pages are to lie: in the arena, or NULL. */
static int find_room(struct client *client, const struct wire_frame *frame, uint8_t **room)
{
	size_t len = (size_t)frame->nr_pages * WIRE_PAGE;
	bool is_full = atomic_load(&client->undelivered) > UNDELIVERED_MAX;
	int ret = 0;

	*room = is_full ? NULL : arena_reserve(client->arena, &client->bulk_room, len);
	while (!*room && (!ret || is_full)) {
		ret = wait_for_room(client);
		if (ret && ret != -ETIMEDOUT)
			return ret;
		is_full = atomic_load(&client->undelivered) > UNDELIVERED_MAX;
		if (!is_full)
			*room = arena_reserve(client->arena, &client->bulk_room, len);
	}
	return 0;
}

/* Pages with bytes. */
static int take_bytes(struct client *client, struct bulk_reader *in, struct channel *channel,
		      const struct wire_frame *frame, struct landing_slots *slots)
{
	bool is_packed = frame->flags & WIRE_LZ4;
	uint8_t *room, *pages;
	int ret = find_room(client, frame, &room);

	if (ret)
		return ret;
	pages = room ? room : in->packed + WIRE_PAYLOAD_MAX;
	ret = reader_payload(&in->reader, channel, &in->rules, -1, frame,
			     is_packed ? in->packed : pages);
	if (!ret && is_packed)
		ret = frame_unpack(frame, in->packed, pages);
	if (ret)
		return ret;
	if (room) {
		arena_keep(client->arena, &client->bulk_room, frame->nr_pages);
		landing_adopt(in->last, frame->vaddr, frame->nr_pages, client->arena, room, slots);
	} else {
		landing_store(in->last, frame->vaddr, frame->nr_pages, LANDING_STORE_BYTES, pages,
			      slots);
	}
	return 0;
}

static int take_pages(struct client *client, struct bulk_reader *in, struct channel *channel,
		      const struct wire_frame *frame)
{
	struct landing_slots slots;
	int ret = 0;

	if (!in->last || landing_object(in->last) != frame->object)
		in->last = client_find_landing(client, frame->object);
	if (!in->last)
		return -EPROTO;
	if (frame->type == WIRE_F_PAGES)
		ret = take_bytes(client, in, channel, frame, &slots);
	else
		landing_store(in->last, frame->vaddr, frame->nr_pages,
			      frame->type == WIRE_F_ZERO ? LANDING_STORE_ZEROS : LANDING_STORE_GONE,
			      NULL, &slots);
	if (!ret && slots.count)
		client_post(client, in->last, &slots);
	return ret;
}

static void say(struct client *client, unsigned int type, uint32_t seq)
{
	struct saying *saying = calloc(1, sizeof(*saying));

	if (!saying)
		return;
	saying->frame = (struct wire_frame){ .type = type, .seq = seq };
	pthread_mutex_lock(&client->lock);
	STAILQ_INSERT_TAIL(&client->sayings, saying, link);
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);
}

static void note_bye(struct client *client)
{
	pthread_mutex_lock(&client->lock);
	client->got_bye = true;
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);
}

/* One frame; those without pages too. */
static int take_frame(struct client *client, struct bulk_reader *in, struct channel *channel)
{
	struct wire_frame frame;
	int ret = reader_header(&in->reader, channel, &in->rules, -1, &frame);

	/* What has a payload is checked when that is here. */
	if (!ret && !frame.payload)
		ret = frame_check_payload(&in->rules, &frame, NULL);
	if (ret)
		return ret;
	/* Small ones are read many at once, large ones straight to where they are to lie. */
	in->reader.is_exact = frame.payload >= LARGE_PAYLOAD;
	switch (frame.type) {
	case WIRE_F_PAGES:
	case WIRE_F_ZERO:
	case WIRE_F_GONE:
		return take_pages(client, in, channel, &frame);
	case WIRE_F_PING:
		say(client, WIRE_F_PONG, frame.seq);
		return 0;
	case WIRE_F_BYE:
		note_bye(client);
		return 0;
	case WIRE_F_END:
		log_debug("%s: all that was owed is sent", channel_peer(channel));
		return 0;
	default:
		return 0;
	}
}

/* Until the connection ends. */
static int receive_bulk(struct client *client, struct channel *channel)
{
	struct bulk_reader in = { .rules = { WIRE_BULK, true, client->features } };
	int ret = reader_init(&in.reader, READER_ROOM);

	in.packed = malloc(WIRE_PAYLOAD_MAX + WIRE_PAGES_MAX * WIRE_PAGE);
	if (!in.packed)
		ret = -ENOMEM;
	while (!ret)
		ret = take_frame(client, &in, channel);
	reader_fini(&in.reader);
	free(in.packed);
	return ret;
}

/* ---- the link's life ------------------------------------------------------------------ */

static bool must_stop(struct client *client)
{
	bool is_stopping;

	pthread_mutex_lock(&client->lock);
	is_stopping = client->is_stopping;
	pthread_mutex_unlock(&client->lock);
	return is_stopping;
}

/* Compat: the engine reads; we wait for it to say that it is over. */
static int wait_for_loss(struct client *client)
{
	pthread_mutex_lock(&client->lock);
	while (client->state == LINK_UP && !client->is_stopping && !client->is_moved)
		pthread_cond_wait(&client->changed, &client->lock);
	pthread_mutex_unlock(&client->lock);
	return -EPIPE;
}

static void publish(struct client *client, struct channel *demand, struct channel *bulk)
{
	pthread_mutex_lock(&client->lock);
	client->demand = demand;
	client->bulk = bulk;
	client->is_compat = !client->has_token;
	client->figures.is_compat = client->is_compat;
	client->figures.is_tls = channel_is_tls(demand);
	client->figures.has_lz4 = client->features & WIRE_FEATURE_LZ4;
	client->engine_has_demand = true;
	client->state = LINK_UP;
	client->generation++;
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);
	client_signal(client->event_fd);
}

static void forget_sayings(struct client *client)
{
	struct saying *saying;

	while ((saying = STAILQ_FIRST(&client->sayings))) {
		STAILQ_REMOVE_HEAD(&client->sayings, link);
		free(saying);
	}
}

/* Nobody uses the channels any more when this returns. */
static void withdraw(struct client *client)
{
	pthread_mutex_lock(&client->lock);
	client->state = LINK_CLOSING;
	channel_shutdown(client->demand);
	if (client->bulk)
		channel_shutdown(client->bulk);
	pthread_cond_broadcast(&client->changed);
	client_signal(client->event_fd);
	while ((client->engine_has_demand && !client->is_stopping) || client->sender_is_busy)
		pthread_cond_wait(&client->changed, &client->lock);
	forget_sayings(client);
	client->figures.demand_in += channel_bytes_in(client->demand);
	client->figures.demand_out += channel_bytes_out(client->demand);
	channel_free(client->demand);
	if (client->bulk) {
		client->figures.bulk_in += channel_bytes_in(client->bulk);
		client->figures.bulk_out += channel_bytes_out(client->bulk);
		channel_free(client->bulk);
	}
	client->demand = client->bulk = NULL;
	client->state = LINK_CONNECTING;
	client->figures.losses++;
	pthread_mutex_unlock(&client->lock);
}

static void be_gone(struct client *client, int error)
{
	pthread_mutex_lock(&client->lock);
	client->state = LINK_GONE;
	client->error = error;
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);
	client_signal(client->event_fd);
}

/* Errors that another attempt will not change. */
static bool is_final(int error)
{
	return error == -EACCES || error == -EPERM || error == -EPROTO || error == -EPROTONOSUPPORT;
}

static void pause_between(struct client *client, int ms)
{
	struct pollfd wake = { .fd = client->wake_fd, .events = POLLIN };

	poll(&wake, 1, ms);
	clear_wake(client);
}

/* One pair of connections from beginning to end. How it ended; *was_up: it stood. */
static int live_once(struct client *client, bool *was_up)
{
	struct channel *demand = NULL, *bulk = NULL;
	int ret = open_channels(client, &demand, &bulk);

	if (ret || must_stop(client)) {
		channel_free(demand);
		channel_free(bulk);
		return ret;
	}
	log_info("%s: connected, %s protocol%s", channel_peer(demand),
		 client->has_token ? "own" : "CRIU's", client->tls ? ", TLS" : "");
	*was_up = true;
	publish(client, demand, bulk);
	ret = bulk ? receive_bulk(client, bulk) : wait_for_loss(client);
	withdraw(client);
	return ret;
}

void *link_main(void *arg)
{
	struct client *client = arg;
	uint64_t since = clock_ms();
	int backoff = BACKOFF_MIN_MS;
	bool ever_up = false;

	priority_bulk();
	while (!must_stop(client)) {
		bool was_up = false;
		int ret = live_once(client, &was_up);

		if (must_stop(client))
			break;
		if (was_up) {
			since = clock_ms();
			backoff = BACKOFF_MIN_MS;
			ever_up = true;
			if (ret != -ECANCELED)
				log_warn("the source is lost (%s)%s", strerror(-ret),
					 client->has_token ? ": connecting again" : "");
		}
		if ((was_up && !client->has_token) || (!ever_up && is_final(ret)) ||
		    (client->timeout_ms && clock_ms() - since > client->timeout_ms)) {
			be_gone(client, ret ? ret : -EPIPE);
			break;
		}
		log_debug("source: %s; next attempt in %d ms", strerror(-ret), backoff);
		pause_between(client, backoff);
		backoff = 2 * backoff > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : 2 * backoff;
	}
	return NULL;
}

/* ---- speaking -------------------------------------------------------------------------- */

static struct saying *next_saying(struct client *client)
{
	struct saying *saying = STAILQ_FIRST(&client->sayings);

	if (saying)
		STAILQ_REMOVE_HEAD(&client->sayings, link);
	return saying;
}

void *sender_main(void *arg)
{
	struct client *client = arg;

	pthread_mutex_lock(&client->lock);
	while (!client->is_stopping) {
		struct frame_rules rules = { WIRE_BULK, false, client->features };
		struct saying *saying =
			client->state == LINK_UP && client->bulk ? next_saying(client) : NULL;

		if (!saying) {
			pthread_cond_wait(&client->changed, &client->lock);
			continue;
		}
		client->sender_is_busy = true;
		pthread_mutex_unlock(&client->lock);
		if (frame_send(client->bulk, &rules, &saying->frame,
			       saying->len ? saying->ranges : NULL, saying->len, SAY_MS))
			channel_shutdown(client->bulk);
		free(saying);
		pthread_mutex_lock(&client->lock);
		client->sender_is_busy = false;
		pthread_cond_broadcast(&client->changed);
	}
	pthread_mutex_unlock(&client->lock);
	return NULL;
}
