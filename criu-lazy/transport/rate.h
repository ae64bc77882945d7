/* SPDX-License-Identifier: GPL-2.0 */
/* A token bucket for bulk data: --max-bandwidth. Shared by all senders; any thread. */
#ifndef TRANSPORT_RATE_H
#define TRANSPORT_RATE_H

#include <pthread.h>
#include <stdint.h>

struct rate {
	pthread_mutex_t lock;
	uint64_t limit;	  /* bytes per second; 0: none */
	uint64_t free_at; /* when what was taken so far is paid off, ns of the monotonic clock */
};

/* limit: bytes per second, 0 for none. rate_set() takes effect with the next rate_take(). */
void rate_init(struct rate *rate, uint64_t limit);
void rate_fini(struct rate *rate);
void rate_set(struct rate *rate, uint64_t limit);
uint64_t rate_limit(struct rate *rate);
/* Takes `bytes` at time `now`; how many ns to wait before they may be sent. */
uint64_t rate_take(struct rate *rate, uint64_t bytes, uint64_t now);

#endif
