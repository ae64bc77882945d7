/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How fast bulk may go so that it never waits in a queue on the way, where demand would wait behind
 * it. Most links are faster than what fills them: then there is no limit. Where there is a queue,
 * the rate is just under what the link carries, found by trying. Round trips that become longer
 * than the shortest one tell that the link has had enough, and so does a sender that has to wait
 * though less arrives than it may send; then the rate goes back to the last good one.
 *
 *   FREE      no limit                              -> TEST: 2 ms of long round trips, and
 *                                                      less than 250 MB/s arrives
 *   TEST      half of what arrived, for 3 ms        -> FINE: more arrives than is sent, or round
 *                                                      trips are short now: a queue
 *                                                   -> FREE: processors are busy, for 250 ms
 *   SEARCH    a quarter more every 3 ms             -> FINE: too much; -> FREE: 500 MB/s is not
 *   FINE      6 %, then 2 % more every 10 or 40 ms  -> HOLD: too much, where it was too much before
 *   HOLD      2 % more after a second               -> FINE: three times in a row it was well
 *
 * Also to FREE: the rate is not made use of, ten times in a row, without waiting.
 *
 * Too much: a bit slower than the last good rate until the queue is gone (drain). More arrives than
 * is sent then. If no more does, twice, and round trips stay long, there is no queue: FREE.
 *
 * Pure logic, one thread.
 */
#ifndef TRANSPORT_PACE_H
#define TRANSPORT_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum pace_level { PACE_SEARCH, PACE_FINE, PACE_FINER, PACE_HOLD, PACE_FREE, PACE_TEST };

struct pace {
	uint64_t rate; /* bytes per second now; 0: no limit */
	/* Inside. */
	enum pace_level level;
	uint64_t good;	/* was well for a while */
	uint64_t bad;	/* was too much last; 0: nothing yet */
	uint64_t best;	/* that arrived while a good rate is doubted */
	uint64_t since; /* ns: of this rate */
	uint64_t since_acked;
	uint64_t peak, peak_at; /* the best arrival, and when (ns) */
	uint64_t alarm;		/* ns: the last one at a good rate */
	uint64_t long_from; /* ns: all round trips have been long since then; 0: the last was not */
	unsigned int nr_long, wins, unused, windows, doubts;
	unsigned int stuck; /* times in a row that draining did not help */
	uint64_t trusted;   /* ns: until then FREE is not doubted */
	bool is_draining, has_waited;
};

/* What the kernel knows of the connection. */
struct pace_sample {
	uint64_t now;	       /* ns */
	uint64_t acked;	       /* bytes, since the connection began */
	uint32_t rtt, min_rtt; /* us */
	bool has_waited;       /* since the last one the sender had to wait for room */
};

void pace_init(struct pace *pace);
/* True: the rate is another one now. */
bool pace_sample(struct pace *pace, const struct pace_sample *sample);
/* Bytes that may leave side by side, so that nobody waits long behind them; 0: any number. */
uint32_t pace_packet(const struct pace *pace);

#endif
