// SPDX-License-Identifier: GPL-2.0
#include "transport/rate.h"

#define SECOND	1000000000ull
#define BURST	(SECOND / 100) /* what may be saved up: 10 ms worth */
#define LONGEST SECOND	       /* so that a new limit is soon felt */

void rate_init(struct rate *rate, uint64_t limit)
{
	*rate = (struct rate){ .limit = limit };
	pthread_mutex_init(&rate->lock, NULL);
}

void rate_fini(struct rate *rate)
{
	pthread_mutex_destroy(&rate->lock);
}

void rate_set(struct rate *rate, uint64_t limit)
{
	pthread_mutex_lock(&rate->lock);
	rate->limit = limit;
	rate->free_at = 0;
	pthread_mutex_unlock(&rate->lock);
}

uint64_t rate_limit(struct rate *rate)
{
	pthread_mutex_lock(&rate->lock);
	uint64_t limit = rate->limit;
	pthread_mutex_unlock(&rate->lock);
	return limit;
}

uint64_t rate_take(struct rate *rate, uint64_t bytes, uint64_t now)
{
	uint64_t wait = 0;

	pthread_mutex_lock(&rate->lock);
	if (rate->limit) {
		if (rate->free_at + BURST < now)
			rate->free_at = now - BURST;
		rate->free_at += (uint64_t)((double)bytes * SECOND / (double)rate->limit);
		if (rate->free_at > now)
			wait = rate->free_at - now;
	}
	pthread_mutex_unlock(&rate->lock);
	return wait < LONGEST ? wait : LONGEST;
}
