/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The daemon's side of a migration: pages whose only copy is at a source elsewhere. The client
 * (transport/client.h) lands them, this delivers them to every space that owes them, and keeps the
 * source informed of what is owed. Engine's thread.
 *
 * A page nobody owes any more is released from its landing: by then every space has it, or has
 * dropped it, and a child forked later owes only what its parent owes then.
 */
#ifndef LAZY_REMOTE_H
#define LAZY_REMOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "lazy/stats.h"

struct lazyd;
struct lazy_source;
struct space;

/* With --page-server: connects (and waits for that, some seconds). Logged. */
int remote_open(struct lazyd *lazyd);
/* Tells the source that all is here, if it is; ends the connections. */
void remote_close(struct lazyd *lazyd);

/* A source was opened: registers its landing. -ENOTCONN, logged: pages elsewhere, and no server. */
int remote_add(struct lazyd *lazyd, struct lazy_source *source);
/* The task runs: what it is owed may be pushed. */
void remote_push(struct lazyd *lazyd);

/* Delivers what is here of an image range to a space, or to every space, that owes it. */
void remote_span_of(struct lazyd *lazyd, struct space *space, struct lazy_source *source,
		    uint64_t image, uint64_t len, enum lazy_cause cause);
void remote_span(struct lazyd *lazyd, struct lazy_source *source, uint64_t image, uint64_t len,
		 enum lazy_cause cause);
/* control.h */
int remote_move(struct lazyd *lazyd, const char *host, uint16_t port);
int remote_rate(struct lazyd *lazyd, uint64_t bytes_per_second);

/* Some page of the image range is owed by the space. */
bool remote_is_owed(struct space *space, const struct lazy_source *source, uint64_t image,
		    uint64_t len);
/* Brings stats.source up to date. */
void remote_figures(struct lazyd *lazyd);

/* epoll says so. */
void remote_ready(struct lazyd *lazyd);
/* Delivers a bounded piece of what was pushed. False: nothing there. */
bool remote_work(struct lazyd *lazyd);
/* Now and then: tells the source what has been dropped meanwhile. */
void remote_tend(struct lazyd *lazyd);

/* Asks for what is absent of the image range. 0: it is under way, or will be when there is a link
 * again; -EAGAIN: not now. */
int remote_ask(struct lazyd *lazyd, struct lazy_source *source, uint64_t image, uint64_t len,
	       bool is_demand);
/* A task waits for a page that is absent: where such faults are dense, all is brought first. */
void remote_fault(struct lazyd *lazyd, struct lazy_source *source, uint64_t image);
/* There will never be a source again. */
bool remote_is_gone(const struct lazyd *lazyd);
/* Must the background ask, or is it pushed? */
bool remote_must_ask(const struct lazyd *lazyd);
/* Pages were delivered to somebody: gives back the memory of those that nobody owes any more. */
void remote_release(struct lazyd *lazyd, struct lazy_source *source, uint64_t image, uint64_t len);

#endif
