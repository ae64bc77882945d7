/* SPDX-License-Identifier: GPL-2.0 */
/* What client*.c share. */
#ifndef TRANSPORT_CLIENT_IMPL_H
#define TRANSPORT_CLIENT_IMPL_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "transport/arena.h"
#include "transport/channel.h"
#include "transport/client.h"
#include "transport/frame.h"
#include "transport/reader.h"
#include "transport/wire.h"

/* A connection's life; the link thread makes every transition. */
enum link_state {
	LINK_CONNECTING, /* -> UP: handshakes done; -> GONE: timeout, refused for good */
	LINK_UP, /* -> CLOSING: read error, end, client_move(); the engine's channel_shutdown() */
	LINK_CLOSING, /* -> CONNECTING: engine and sender let go; compat: -> GONE */
	LINK_GONE,    /* for ever */
};

struct saying {
	STAILQ_ENTRY(saying) link;
	struct wire_frame frame;
	size_t len;
	struct wire_range ranges[];
};

struct post {
	struct landing *landing;
	struct landing_slots slots;
};

struct client {
	/* Fixed. */
	const struct tls_context *tls;
	bool verify_name, has_token, want_lz4;
	struct token token;
	uint8_t session[WIRE_SESSION_SIZE];
	unsigned int timeout_ms;
	int epoll_fd; /* the engine's view: event_fd and the demand channel */
	int event_fd; /* to the engine */
	int wake_fd;  /* to the link thread */
	int given_fd; /* the link thread's: a connection that was made for us, or -1 */
	pthread_t link_thread, sender_thread;
	bool has_link_thread, has_sender_thread;

	pthread_mutex_t lock; /* of everything down to the next comment; never held over I/O */
	pthread_cond_t changed, room;
	char *host;
	uint16_t port;
	enum link_state state;
	int error; /* why it is gone */
	bool is_moved, is_stopping, is_finishing, is_compat, got_bye;
	bool engine_has_demand, sender_is_busy;
	struct channel *demand, *bulk; /* of LINK_UP; freed by the link thread */
	uint32_t features;
	unsigned int generation; /* counts LINK_UP */
	struct landing **landings;
	size_t nr_landings;
	struct post *posts;
	size_t nr_posts, posts_room;
	STAILQ_HEAD(, saying) sayings;
	struct client_figures figures;

	struct arena *arena;
	struct arena_cursor bulk_room;	 /* the link thread's */
	struct arena_cursor demand_room; /* the engine's */
	_Atomic uint64_t undelivered;	 /* bytes pushed and not released */
	_Atomic bool is_waiting;	 /* the link thread, for room in the above */

	/* The engine's. */
	struct channel *engine_demand;
	unsigned int engine_generation;
	bool engine_is_compat, engine_said_gone, has_said_done;
	struct reader reader;
	struct post *work;
	size_t nr_work, work_at, work_room;
	uint64_t asked_bytes; /* under way on the demand channel */
	uint32_t seq;
	struct landing_get *gets; /* compat: answers come in this order; a ring */
	size_t gets_head, gets_count, gets_room;
};

/* One GET under way. */
struct landing_get {
	struct landing *landing;
	uint64_t vaddr;
	uint64_t nr_pages;
};

/* client_link.c */
void *link_main(void *client);
void *sender_main(void *client);
void client_signal(int fd);
/* Is there room enough to wake the link thread for, after it had to wait? */
bool client_has_room(const struct client *client);
struct landing *client_find_landing(struct client *client, uint64_t object);
void client_post(struct client *client, struct landing *landing, const struct landing_slots *slots);

/* client_demand.c: the engine's side of the demand channel. */
int demand_send(struct client *client, struct landing *landing, const struct landing_run *run);
/* Reads and lands what is there; calls landed(). 0, or why the channel is of no more use. */
int demand_read(struct client *client, const struct client_events *events, void *ctx);

#endif
