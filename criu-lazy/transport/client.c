// SPDX-License-Identifier: GPL-2.0
#include "transport/client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "transport/client_impl.h"
#include "util/log.h"

enum {
	READER_ROOM = (1 << 20) + 4096,
	OWN_GET_PAGES = 256,
	COMPAT_GET_PAGES = 64,
	GETS_MAX = 1024, /* 40 KiB of them */
	ARENA_BLOCKS = 16,
};
#define OWN_WINDOW    (1ull << 20)
#define COMPAT_WINDOW (768ull << 10)

/* ---- begin and end --------------------------------------------------------------- */

static int start_thread(pthread_t *thread, void *(*main)(void *), void *arg)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(thread, NULL, main, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -ret;
}

static int init_descriptors(struct client *client)
{
	struct epoll_event event = { .events = EPOLLIN };

	client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	client->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (client->epoll_fd < 0 || client->event_fd < 0 || client->wake_fd < 0 ||
	    epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, client->event_fd, &event))
		return log_errno("page client: descriptors");
	return 0;
}

static int init_client(struct client *client, const struct client_config *config)
{
	pthread_mutex_init(&client->lock, NULL);
	pthread_cond_init(&client->changed, NULL);
	pthread_cond_init(&client->room, NULL);
	STAILQ_INIT(&client->sayings);
	client->tls = config->tls;
	client->verify_name = config->verify_name;
	client->want_lz4 = config->want_lz4;
	client->timeout_ms = config->timeout_ms;
	client->port = config->port;
	client->epoll_fd = client->event_fd = client->wake_fd = client->given_fd = -1;
	if (config->socket >= 0) {
		client->given_fd = fcntl(config->socket, F_DUPFD_CLOEXEC, 3);
		if (client->given_fd < 0)
			return log_errno("page client: descriptor %d", config->socket);
	} else if (config->token) {
		client->has_token = true;
		client->token = *config->token;
	}
	if (config->session)
		memcpy(client->session, config->session, sizeof(client->session));
	else if (getrandom(client->session, sizeof(client->session), 0) != sizeof(client->session))
		return log_errno("page client: random bytes");
	client->host = strdup(config->host);
	if (!client->host)
		return -ENOMEM;
	return init_descriptors(client);
}

int client_start(const struct client_config *config, struct client **out)
{
	struct client *client = calloc(1, sizeof(*client));
	int ret;

	if (!client)
		return -ENOMEM;
	ret = init_client(client, config);
	if (!ret)
		ret = reader_init(&client->reader, READER_ROOM);
	if (!ret)
		ret = arena_new(ARENA_BLOCKS, &client->arena);
	if (!ret)
		ret = start_thread(&client->sender_thread, sender_main, client);
	client->has_sender_thread = !ret;
	if (!ret)
		ret = start_thread(&client->link_thread, link_main, client);
	else
		client->has_sender_thread = false;
	client->has_link_thread = !ret;
	if (ret) {
		client_stop(client);
		return ret;
	}
	*out = client;
	return 0;
}

static void deadline_in(int timeout_ms, struct timespec *out)
{
	clock_gettime(CLOCK_REALTIME, out);
	out->tv_sec += timeout_ms / 1000;
	out->tv_nsec += timeout_ms % 1000 * 1000000L;
	if (out->tv_nsec >= 1000000000L) {
		out->tv_sec++;
		out->tv_nsec -= 1000000000L;
	}
}

int client_wait_first(struct client *client, int timeout_ms)
{
	struct timespec deadline;
	int ret = 0;

	deadline_in(timeout_ms, &deadline);
	pthread_mutex_lock(&client->lock);
	while (!client->generation && client->state != LINK_GONE && !ret)
		ret = pthread_cond_timedwait(&client->changed, &client->lock, &deadline);
	ret = client->generation ? 0 : client->state == LINK_GONE ? client->error : -ETIMEDOUT;
	pthread_mutex_unlock(&client->lock);
	if (ret)
		log_ret(ret, "%s port %u: no page server answers", client->host, client->port);
	return ret;
}

static void release_demand(struct client *client)
{
	if (!client->engine_demand)
		return;
	epoll_ctl(client->epoll_fd, EPOLL_CTL_DEL, channel_fd(client->engine_demand), NULL);
	client->engine_demand = NULL;
	pthread_mutex_lock(&client->lock);
	client->engine_has_demand = false;
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);
}

/* Ends the link, if there is one, and lets all look at what has changed. Locked. */
static void shut_link(struct client *client)
{
	if (client->demand)
		channel_shutdown(client->demand);
	if (client->bulk)
		channel_shutdown(client->bulk);
	pthread_cond_broadcast(&client->changed);
	pthread_cond_broadcast(&client->room);
}

void client_stop(struct client *client)
{
	if (!client)
		return;
	pthread_mutex_lock(&client->lock);
	client->is_stopping = true;
	shut_link(client);
	pthread_mutex_unlock(&client->lock);
	if (client->wake_fd >= 0)
		client_signal(client->wake_fd);
	release_demand(client);
	if (client->has_link_thread)
		pthread_join(client->link_thread, NULL);
	if (client->has_sender_thread)
		pthread_join(client->sender_thread, NULL);
	if (client->given_fd >= 0)
		close(client->given_fd);
	for (int i = 0; i < 3; i++) {
		int fd = i == 0 ? client->epoll_fd : i == 1 ? client->event_fd : client->wake_fd;

		if (fd >= 0)
			close(fd);
	}
	reader_fini(&client->reader);
	arena_free(client->arena);
	free(client->landings);
	free(client->posts);
	free(client->work);
	free(client->gets);
	free(client->host);
	free(client);
}

/* ---- the engine's view -------------------------------------------------------------- */

int client_fd(const struct client *client)
{
	return client->epoll_fd;
}

bool client_is_up(const struct client *client)
{
	return client->engine_demand != NULL;
}

bool client_must_ask(const struct client *client)
{
	return !client->has_token;
}

bool client_is_gone(const struct client *client)
{
	return client->engine_said_gone;
}

int client_add(struct client *client, struct landing *landing)
{
	struct landing **grown;
	int ret = 0;

	pthread_mutex_lock(&client->lock);
	grown = realloc(client->landings, (client->nr_landings + 1) * sizeof(*grown));
	if (grown) {
		client->landings = grown;
		client->landings[client->nr_landings++] = landing;
	} else {
		ret = -ENOMEM;
	}
	pthread_mutex_unlock(&client->lock);
	return ret;
}

static void forget_gets(struct client *client)
{
	client->asked_bytes = 0;
	client->gets_head = client->gets_count = 0;
	reader_reset(&client->reader);
	for (size_t i = 0; i < client->nr_landings; i++)
		landing_unask_all(client->landings[i]);
}

/* The demand channel is of no more use; the link thread does the rest. */
static void drop_demand(struct client *client, const struct client_events *events, void *ctx)
{
	bool had = client->engine_demand != NULL;

	if (had)
		channel_shutdown(client->engine_demand);
	pthread_mutex_lock(&client->lock);
	/* After DONE the source closes both; the BYE on the bulk channel is still to be read. */
	if (client->state == LINK_UP && client->generation == client->engine_generation &&
	    !client->has_said_done) {
		client->state = LINK_CLOSING;
		if (client->bulk)
			channel_shutdown(client->bulk);
		pthread_cond_broadcast(&client->changed);
		pthread_cond_broadcast(&client->room);
	}
	pthread_mutex_unlock(&client->lock);
	release_demand(client);
	forget_gets(client);
	if (had && events)
		events->down(ctx);
}

static void adopt_demand(struct client *client, struct channel *demand, unsigned int generation,
			 bool is_compat, const struct client_events *events, void *ctx)
{
	struct epoll_event event = { .events = EPOLLIN };

	client->engine_demand = demand;
	client->engine_generation = generation;
	client->engine_is_compat = is_compat;
	forget_gets(client);
	if (epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, channel_fd(demand), &event)) {
		log_errno("page client: watch the demand channel");
		drop_demand(client, NULL, NULL);
		return;
	}
	events->up(ctx);
}

/* What the link thread has changed. */
static void follow_link(struct client *client, const struct client_events *events, void *ctx)
{
	struct channel *demand;
	unsigned int generation;
	enum link_state state;
	bool is_compat;
	int error;

	pthread_mutex_lock(&client->lock);
	state = client->state;
	demand = client->demand;
	generation = client->generation;
	is_compat = client->is_compat;
	error = client->error;
	pthread_mutex_unlock(&client->lock);
	if (client->engine_demand && (state != LINK_UP || generation != client->engine_generation))
		drop_demand(client, events, ctx);
	if (state == LINK_UP && !client->engine_demand && generation != client->engine_generation)
		adopt_demand(client, demand, generation, is_compat, events, ctx);
	if (state == LINK_GONE && !client->engine_said_gone) {
		client->engine_said_gone = true;
		events->gone(ctx, error);
	}
}

void client_process(struct client *client, const struct client_events *events, void *ctx)
{
	uint64_t count;

	if (read(client->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_debug("eventfd: %s", strerror(errno));
	follow_link(client, events, ctx);
	if (client->engine_demand) {
		int ret = demand_read(client, events, ctx);

		if (!ret)
			return;
		log_info("demand channel: %s", strerror(-ret));
		drop_demand(client, events, ctx);
	}
}

/* The engine's list of posts is used up: the link thread's becomes the engine's. */
static bool fetch_posts(struct client *client)
{
	struct post *used = client->work;
	size_t room = client->work_room;

	pthread_mutex_lock(&client->lock);
	client->work = client->posts;
	client->work_room = client->posts_room;
	client->nr_work = client->nr_posts;
	client->posts = used;
	client->posts_room = room;
	client->nr_posts = 0;
	pthread_mutex_unlock(&client->lock);
	client->work_at = 0;
	return client->nr_work > 0;
}

bool client_work(struct client *client, uint64_t pages, const struct client_events *events,
		 void *ctx)
{
	struct landing_slots piece;
	struct post *post;

	if (client->work_at == client->nr_work && !fetch_posts(client))
		return false;
	post = &client->work[client->work_at];
	piece = post->slots;
	if (piece.count > pages)
		piece.count = pages;
	post->slots.first += piece.count;
	post->slots.count -= piece.count;
	if (!post->slots.count)
		client->work_at++;
	events->landed(ctx, post->landing, piece);
	return true;
}

void client_released(struct client *client, uint64_t bytes)
{
	if (!bytes)
		return;
	atomic_fetch_sub(&client->undelivered, bytes);
	if (!atomic_load(&client->is_waiting) || !client_has_room(client))
		return;
	pthread_mutex_lock(&client->lock);
	pthread_cond_signal(&client->room);
	pthread_mutex_unlock(&client->lock);
}

/* ---- asking and saying --------------------------------------------------------------- */

int client_get(struct client *client, struct landing *landing, uint64_t vaddr, uint64_t len,
	       bool is_demand)
{
	uint64_t max = client->engine_is_compat ? COMPAT_GET_PAGES : OWN_GET_PAGES;
	uint64_t window = client->engine_is_compat ? COMPAT_WINDOW : OWN_WINDOW;
	struct landing_run run;

	if (!client->engine_demand)
		return -ENOTCONN;
	while (is_demand || client->asked_bytes < window) {
		int ret;

		if (!landing_ask(landing, vaddr, len, max, &run))
			return 0;
		ret = demand_send(client, landing, &run);
		if (ret) {
			/* The answer to epoll's wake-up is in client_process(). */
			channel_shutdown(client->engine_demand);
			return -ENOTCONN;
		}
	}
	return -EAGAIN;
}

static int queue_saying(struct client *client, struct saying *saying)
{
	pthread_mutex_lock(&client->lock);
	STAILQ_INSERT_TAIL(&client->sayings, saying, link);
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);
	return 0;
}

static int say_some(struct client *client, unsigned int type, uint64_t object,
		    const struct landing_run *runs, size_t count)
{
	size_t len = count * sizeof(struct wire_range);
	struct saying *saying = calloc(1, sizeof(*saying) + len);

	if (!saying)
		return -ENOMEM;
	saying->frame = (struct wire_frame){ .type = type, .object = object };
	saying->len = len;
	for (size_t i = 0; i < count; i++)
		saying->ranges[i] = (struct wire_range){ runs[i].vaddr, runs[i].nr_pages };
	return queue_saying(client, saying);
}

int client_say(struct client *client, unsigned int type, const struct landing *landing,
	       const struct landing_run *runs, size_t count, bool all)
{
	int ret = 0;

	if (!client->engine_demand || client->engine_is_compat)
		return -ENOTCONN;
	if (all) {
		struct saying *saying = calloc(1, sizeof(*saying));

		if (!saying)
			return -ENOMEM;
		saying->frame = (struct wire_frame){ .type = type,
						     .flags = WIRE_ALL,
						     .object = landing_object(landing) };
		return queue_saying(client, saying);
	}
	while (!ret && count) {
		size_t some = count < WIRE_RANGES_MAX ? count : WIRE_RANGES_MAX;

		ret = say_some(client, type, landing_object(landing), runs, some);
		runs += some;
		count -= some;
	}
	return ret;
}

int client_say_start(struct client *client)
{
	if (!client->engine_demand || client->engine_is_compat)
		return -ENOTCONN;
	return say_some(client, WIRE_F_START, 0, NULL, 0);
}

int client_say_rate(struct client *client, uint64_t bytes_per_second)
{
	struct saying *saying;

	if (!client->engine_demand || client->engine_is_compat)
		return -ENOTCONN;
	saying = calloc(1, sizeof(*saying));
	if (!saying)
		return -ENOMEM;
	saying->frame = (struct wire_frame){ .type = WIRE_F_RATE, .vaddr = bytes_per_second };
	return queue_saying(client, saying);
}

int client_move(struct client *client, const char *host, uint16_t port)
{
	char *copy = strdup(host);

	if (!copy)
		return -ENOMEM;
	pthread_mutex_lock(&client->lock);
	free(client->host);
	client->host = copy;
	client->port = port;
	client->is_moved = true;
	shut_link(client);
	pthread_mutex_unlock(&client->lock);
	client_signal(client->wake_fd);
	return 0;
}

/* ---- the end --------------------------------------------------------------------------- */

/* CRIU's server answers with a status. */
static int close_compat(struct client *client, int timeout_ms)
{
	struct wire_record record = { .cmd = WIRE_CLOSE };
	int32_t status;
	int ret;

	if (!client->engine_demand)
		return -ENOTCONN;
	ret = channel_write_bytes(client->engine_demand, &record, sizeof(record), timeout_ms);
	if (!ret)
		ret = channel_read(client->engine_demand, &status, sizeof(status), timeout_ms);
	if (ret)
		return log_ret(ret, "%s: no answer to the end of the migration", client->host);
	return status ? log_ret(-EREMOTEIO, "%s: the source ends with status %d", client->host,
				status)
		      : 0;
}

static void ignore_landed(void *ctx, struct landing *landing, struct landing_slots slots)
{
}

static void say_done(void *ctx)
{
	struct client *client = ctx;

	if (!say_some(client, WIRE_F_DONE, 0, NULL, 0))
		client->has_said_done = true;
}

static void ignore_down(void *ctx)
{
}

static void ignore_gone(void *ctx, int error)
{
}

/* Over a lost link, too: connected again, it is said again. */
static int finish_own(struct client *client, int timeout_ms)
{
	const struct client_events events = { ignore_landed, say_done, ignore_down, ignore_gone };
	struct timespec deadline, slice;
	bool got_bye = false;

	deadline_in(timeout_ms, &deadline);
	if (client->engine_demand)
		say_done(client);
	while (!got_bye && !client->engine_said_gone) {
		client_process(client, &events, client);
		deadline_in(50, &slice);
		if (slice.tv_sec > deadline.tv_sec)
			break;
		pthread_mutex_lock(&client->lock);
		if (!client->got_bye)
			pthread_cond_timedwait(&client->changed, &client->lock, &slice);
		got_bye = client->got_bye;
		pthread_mutex_unlock(&client->lock);
	}
	return got_bye ? 0
		       : log_ret(-ETIMEDOUT,
				 "%s: the source has not confirmed the end; it may wait",
				 client->host);
}

int client_finish(struct client *client, int timeout_ms)
{
	return client->has_token ? finish_own(client, timeout_ms)
				 : close_compat(client, timeout_ms);
}

void client_figures(struct client *client, struct client_figures *out)
{
	pthread_mutex_lock(&client->lock);
	*out = client->figures;
	if (client->demand) {
		out->demand_in += channel_bytes_in(client->demand);
		out->demand_out += channel_bytes_out(client->demand);
	}
	if (client->bulk) {
		out->bulk_in += channel_bytes_in(client->bulk);
		out->bulk_out += channel_bytes_out(client->bulk);
	}
	pthread_mutex_unlock(&client->lock);
}
