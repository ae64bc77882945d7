/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The page server: gives pages to those who restore elsewhere. It speaks the own protocol and
 * CRIU's on the same port (wire.h). The thread that calls server_run() accepts; each
 * connection has a thread of its own, with one buffer and the kernel's socket buffer as all that
 * a peer can make it hold, and nobody waits for anybody.
 */
#ifndef TRANSPORT_SERVER_H
#define TRANSPORT_SERVER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct options;
struct provider;
struct server;
struct token;

struct server_params {
	const struct options *opts; /* --address, --port, --ps-socket, --tls..., --compress,
				     * --max-bandwidth, --allow-compat */
	struct provider *pages;	    /* sealed; borrowed */
	const struct token *token;  /* what clients have to show; NULL: the images have none */
	/* server_run() ends when all clients are done, not only when it is stopped. */
	bool ends_when_done;
	const volatile sig_atomic_t *stopped; /* set by a signal: give up */
	/*
	 * Or NULL. Called once, by server_run()'s thread, when the first client that may have pages
	 * is here, and before it is told so; nobody reads pages meanwhile.
	 */
	void (*first_client)(void *arg);
	void *first_client_arg;
};

struct server_stats {
	uint64_t clients, demand_pages, bulk_pages, zero_pages, gone_pages, bytes_out;
};

/* Reads certificates and listens. Logged. */
int server_new(const struct server_params *params, struct server **out);
/*
 * Serves. 0: every client that began has said that it has all it wants, and there was one;
 * -EINTR: stopped (not logged).
 */
int server_run(struct server *server);
/* Where it listens, or 0. */
uint16_t server_port(const struct server *server);
/* Some client has pages, so the tasks may run elsewhere. */
bool server_has_delivered(const struct server *server);
void server_stats(struct server *server, struct server_stats *out);
/* Ends all connections and waits for their threads. */
void server_free(struct server *server);

#endif
