/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The destination's end of a post-copy migration: fetches what stayed at the source into landings.
 * The engine asks and is told; it never waits for the network.
 *
 *   link thread    connects, and again after a loss; receives what is pushed on the bulk channel
 *   sender thread  what the engine has to say on the bulk channel
 *   engine         sends GETs and reads their answers on the demand channel, without blocking:
 *                  a page that a task waits for goes through no other thread
 *
 * With a source that speaks CRIU's protocol there is one connection, the demand channel; it carries
 * what is asked for in the background too, in small pieces.
 *
 * All calls are the engine's, and log what a user must know.
 */
#ifndef TRANSPORT_CLIENT_H
#define TRANSPORT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/landing.h"
#include "transport/token.h"

struct client;
struct tls_context;

struct client_config {
	const char *host; /* name or address; copied */
	uint16_t port;
	/*
	 * Instead of host and port: a connected socket, which is duplicated; -1: none. It is one
	 * connection, so CRIU's protocol is spoken, and its loss is the end.
	 */
	int socket;
	const struct tls_context *tls; /* NULL: plain; borrowed */
	bool verify_name;	       /* TLS: the certificate must be the host's */
	/* NULL: the images have none, the source is a CRIU (or serves for one). */
	const struct token *token;
	const uint8_t *session; /* WIRE_SESSION_SIZE bytes; NULL: random ones */
	bool want_lz4;
	unsigned int timeout_ms; /* without a source for so long: it is gone for good; 0: never */
};

/* What the engine is told, by client_process() and client_work(). */
struct client_events {
	/* Pages landed (or are GONE): see landing_look(). */
	void (*landed)(void *ctx, struct landing *landing, struct landing_slots slots);
	/* A connection stands. What was asked for or said before is forgotten: say it again. */
	void (*up)(void *ctx);
	void (*down)(void *ctx);
	/* There will never be another connection. */
	void (*gone)(void *ctx, int error);
};

/* Starts the threads; *out at once. -ENOMEM and the like. */
int client_start(const struct client_config *config, struct client **out);
/* Waits for the first connection at most timeout_ms. 0, or why there is none; logged. */
int client_wait_first(struct client *client, int timeout_ms);
/* For epoll: readable when client_process() has something to do. */
int client_fd(const struct client *client);
void client_process(struct client *client, const struct client_events *events, void *ctx);
/* Hands over at most so many pages of what was pushed. False: there are none. */
bool client_work(struct client *client, uint64_t pages, const struct client_events *events,
		 void *ctx);

/* What is pushed for this object lands there from now on. Borrowed until client_stop(). */
int client_add(struct client *client, struct landing *landing);

bool client_is_up(const struct client *client);
/* Nothing is pushed: background pages must be asked for. */
bool client_must_ask(const struct client *client);
bool client_is_gone(const struct client *client);

/*
 * Asks for what is absent of [vaddr, vaddr + len) and not asked for yet. 0; -ENOTCONN; -EAGAIN: too
 * much is under way (never for is_demand, unless the link hangs).
 */
int client_get(struct client *client, struct landing *landing, uint64_t vaddr, uint64_t len,
	       bool is_demand);

/* Bulk: frames of WIRE_F_OWED, _PRIORITY or _DROP. all: of the object, ranges unused. */
int client_say(struct client *client, unsigned int type, const struct landing *landing,
	       const struct landing_run *runs, size_t count, bool all);
int client_say_start(struct client *client);
int client_say_rate(struct client *client, uint64_t bytes_per_second);

/* Memory of landings given back (landing_release()): receiving may go on. */
void client_released(struct client *client, uint64_t bytes);

/* The source has moved; reconnects at once. */
int client_move(struct client *client, const char *host, uint16_t port);

/*
 * Everything wanted is here: tells the source and waits for its answer. 0; -ETIMEDOUT and the like,
 * logged: the source keeps what it has.
 */
int client_finish(struct client *client, int timeout_ms);
/* Ends threads and connections; NULL is fine. */
void client_stop(struct client *client);

struct client_figures {
	uint64_t demand_in, demand_out, bulk_in, bulk_out; /* bytes */
	uint64_t gets, pages_asked, pages_pushed, losses;
	bool is_compat, is_tls, has_lz4;
};
void client_figures(struct client *client, struct client_figures *out);

#endif
