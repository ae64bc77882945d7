/* SPDX-License-Identifier: GPL-2.0 */
/* Inside the page server only. */
#ifndef TRANSPORT_SERVER_IMPL_H
#define TRANSPORT_SERVER_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "transport/channel.h"
#include "transport/frame.h"
#include "transport/provider.h"
#include "transport/rate.h"
#include "transport/server.h"
#include "transport/wire.h"

enum {
	SERVER_CONNECTIONS_MAX = 512,
	SERVER_SESSIONS_MAX = 1024,
	SERVER_HELLO_MS = 10000,  /* for a stranger to say who it is, and for TLS */
	SERVER_SILENT_MS = 300,	  /* who says nothing for so long is CRIU's daemon, waiting */
	SERVER_STALL_MS = 60000,  /* a client that takes not one byte for so long is dropped */
	SERVER_DEAD_MS = 20000,	  /* for the kernel to find out that a link is gone */
	SERVER_QUEUE = 256 << 10, /* unsent bytes in the kernel, bulk */
};

struct range_queue { /* PRIORITY, in the order told */
	struct {
		struct provider_object *object;
		uint64_t index, end;
	} * items;
	size_t count, capacity, next;
};

/*
 * One client: its two connections, and what it is still owed. Owed pages are bits by page index,
 * one bitmap per object; the bulk thread takes them out as it sends, the demand thread as it
 * answers, DROP without either.
 */
struct session {
	struct session *next;
	uint8_t id[WIRE_SESSION_SIZE];
	int refs;		     /* server->lock */
	struct channel *channels[2]; /* server->lock; by enum wire_channel - 1; borrowed */
	atomic_bool is_started, is_done;
	_Atomic(_Atomic uint64_t *) *owed; /* per object slot; NULL: nothing yet */
	struct range_queue priority;	   /* bulk thread */
};

struct connection {
	struct connection *next;
	struct server *server;
	struct channel *channel;
	pthread_t thread;
	atomic_bool is_over;
};

struct server {
	struct server_params params;
	struct tls_context *tls;
	int listen_fd; /* -1: only_fd it is */
	int only_fd;   /* --ps-socket that is connected; served once server_run() is called */
	int wake_fd;   /* eventfd: a connection is over or a client done */
	struct rate rate;
	pthread_mutex_t lock;
	struct connection *connections; /* server_run()'s thread */
	unsigned int nr_connections;
	struct session *sessions; /* lock */
	unsigned int nr_sessions;
	unsigned int compat_done; /* lock */
	unsigned int compat_busy; /* lock */
	bool has_client;	  /* lock: somebody waits in server_meet() */
	bool is_met;		  /* lock: first_client() was called */
	pthread_cond_t met;
	atomic_bool has_delivered;
	atomic_ullong clients, demand_pages, bulk_pages, zero_pages, gone_pages, bytes_out;
};

/* server_session.c */
int session_get(struct server *server, const struct wire_hello *hello, struct channel *channel,
		struct session **out);
void session_put(struct server *server, struct session *session, struct channel *channel);
/* Pages of object from index on. */
int session_owe(struct session *session, const struct provider_object *object, uint64_t index,
		uint64_t count);
void session_disown(struct session *session, const struct provider_object *object, uint64_t index,
		    uint64_t count);
/* Owes nothing. Bulk thread. */
void session_forget(struct server *server, struct session *session);
/*
 * Takes the first run of owed pages in [index, end): out of the bitmap, at most `max`. How many, or
 * 0; *first is the page it starts with. What lies apart in address does not come together.
 */
uint64_t session_take(struct session *session, const struct provider_object *object, uint64_t index,
		      uint64_t end, uint64_t max, uint64_t *first);
/* One is done, and none that began is not. */
bool sessions_are_done(struct server *server);
void sessions_free(struct server *server);

/* server_own.c: after the record that said WIRE_HELLO. */
void own_serve(struct connection *connection, const struct wire_record *first);
/* server_demand.c, server_bulk.c */
int demand_serve(struct connection *connection, struct session *session, uint32_t features);
int bulk_serve(struct connection *connection, struct session *session, uint32_t features);
/* server_compat.c: CRIU's daemon; first is the record already read. */
void compat_serve(struct connection *connection, const struct wire_record *first);

/* Before a client that may have pages gets any: waits for params.first_client(). */
void server_meet(struct server *server);

/* Wakes server_run() to look whether all is done. */
void server_wake(struct server *server);

#endif
