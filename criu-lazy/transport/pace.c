// SPDX-License-Identifier: GPL-2.0
#include "transport/pace.h"

#define MS	     1000000ull
#define SECOND	     1000000000ull
#define RATE_LEAST   1000000ull
#define PEAK_NS	     SECOND /* that the best arrival is remembered for */
#define RATE_FREE    500000000ull
#define RATE_TEST    250000000ull /* faster links are not slow, whatever round trips say */
#define LONG_US	     200u	  /* over the shortest round trip */
#define LONG_FREE_NS (2 * MS)
#define TEST_NS	     (3 * MS)
#define FREE_NS	     (20 * MS)
#define DRAIN_NS     (20 * MS)
#define ALARMS_NS    (100 * MS)
#define TRUSTED_NS   (250 * MS)
#define DEEP_US	     2000u /* of queue: then it is emptied faster */
#define PACKET_US    64u   /* of the link's time */
#define PACKET_LEAST 4096u
#define PACKET_NONE  65536u /* no more fit into one of the kernel's anyway */

enum { NR_LONG = 3, WINS = 3, UNUSED = 10, DOUBTS = 5, STUCK = 2, QUEUE_PERCENT = 120 };

static const struct step {
	uint64_t window;  /* ns that a rate is looked at for */
	uint64_t alarm;	  /* ns of long round trips that are too much */
	uint32_t windows; /* so many, all well, make it good */
	uint32_t percent; /* what is tried then */
	uint32_t used;	  /* percent of the rate that must have arrived */
} steps[] = {
	[PACE_SEARCH] = { 3 * MS, MS, 1, 125, 60 },
	[PACE_FINE] = { 10 * MS, 2 * MS, 1, 106, 80 },
	[PACE_FINER] = { 40 * MS, 3 * MS, 1, 102, 97 },
	[PACE_HOLD] = { 40 * MS, 3 * MS, 25, 102, 97 },
};

void pace_init(struct pace *pace)
{
	*pace = (struct pace){ .level = PACE_FREE };
}

static void set_rate(struct pace *pace, const struct pace_sample *sample, uint64_t rate)
{
	pace->rate = rate > RATE_LEAST ? rate : RATE_LEAST;
	pace->since = sample->now;
	pace->since_acked = sample->acked;
	pace->nr_long = 0;
	pace->windows = 0;
	pace->has_waited = false;
}

static uint64_t delivered(const struct pace *pace, const struct pace_sample *sample)
{
	uint64_t took = sample->now - pace->since;

	return took ? (uint64_t)((double)(sample->acked - pace->since_acked) * SECOND /
				 (double)took)
		    : 0;
}

static void note_peak(struct pace *pace, const struct pace_sample *sample, uint64_t arrived)
{
	if (arrived > pace->peak || sample->now - pace->peak_at > PEAK_NS) {
		pace->peak = arrived < RATE_FREE ? arrived : RATE_FREE;
		pace->peak_at = sample->now;
	}
}

/* Not far below what has arrived lately: the link is not gone because a processor is busy. */
static void set_good(struct pace *pace, uint64_t rate)
{
	if (rate < pace->peak / 2)
		rate = pace->peak / 2;
	pace->good = rate > RATE_LEAST ? rate : RATE_LEAST;
}

static void drain(struct pace *pace, const struct pace_sample *sample)
{
	bool is_deep = sample->rtt - sample->min_rtt > DEEP_US;

	pace->is_draining = true;
	pace->wins = 0;
	set_rate(pace, sample, is_deep ? pace->good / 2 : pace->good / 20 * 17);
}

static bool is_near(uint64_t a, uint64_t b)
{
	return a > b - b / 10 && a < b + b / 10;
}

static bool too_much(struct pace *pace, const struct pace_sample *sample)
{
	enum pace_level tried = pace->level;
	uint64_t before;

	if (pace->rate > pace->good) { /* a trial */
		if (pace->level == PACE_SEARCH || !pace->bad || !is_near(pace->rate, pace->bad))
			pace->level = pace->level > PACE_FINE ? pace->level : PACE_FINE;
		else if (pace->level < PACE_HOLD)
			pace->level++;
		pace->bad = pace->rate;
		/* It shows late: the rate before may have lived on what a shaper saves up. */
		before = pace->good / steps[tried].percent * 100;
		if (tried < PACE_FINER)
			set_good(pace, before);
	} else {
		/* One alarm alone may be a processor that was busy. */
		if (sample->now - pace->alarm < ALARMS_NS)
			set_good(pace, pace->good / 50 * 49);
		pace->alarm = sample->now;
		if (pace->level == PACE_SEARCH)
			pace->level = PACE_FINE;
	}
	drain(pace, sample);
	return true;
}

static bool be_free(struct pace *pace, const struct pace_sample *sample)
{
	set_rate(pace, sample, 0);
	pace->level = PACE_FREE;
	pace->rate = 0;
	pace->long_from = 0;
	pace->is_draining = false;
	pace->stuck = pace->unused = 0;
	return true;
}

/* What leaves a queue is more than what goes in, while it is drained: as much arriving as is sent
 * tells that round trips are long for another reason. */
static bool is_stuck(struct pace *pace, uint64_t arrived)
{
	if (arrived > pace->rate / 100 * 108 || arrived < pace->rate / 5 * 4)
		pace->stuck = 0;
	else
		pace->stuck++;
	return pace->stuck >= STUCK;
}

static bool is_drained(struct pace *pace, const struct pace_sample *sample, uint32_t queued)
{
	uint64_t arrived;

	if (queued < LONG_US / 2) {
		pace->is_draining = false;
		pace->stuck = 0;
		set_rate(pace, sample, pace->good);
		return true;
	}
	if (sample->now - pace->since < DRAIN_NS)
		return false;
	arrived = delivered(pace, sample);
	note_peak(pace, sample, arrived);
	if (is_stuck(pace, arrived)) {
		pace->trusted = sample->now + TRUSTED_NS;
		return be_free(pace, sample);
	}
	/* The link carries less than it did. */
	set_good(pace, arrived / 20 * 19);
	drain(pace, sample);
	return true;
}

/*
 * Less arrived than was allowed. If the sender did not even wait, it is not the link; else the link
 * (and TCP) carries no more. A good rate is doubted only when that goes on: processors are busy now
 * and then.
 */
static bool too_little(struct pace *pace, const struct pace_sample *sample, uint64_t arrived)
{
	if (!pace->has_waited) {
		set_rate(pace, sample, pace->rate);
		return ++pace->unused >= UNUSED && be_free(pace, sample);
	}
	pace->unused = 0;
	pace->wins = 0;
	if (arrived > pace->best)
		pace->best = arrived;
	if (++pace->doubts >= DOUBTS) {
		if (pace->good > pace->best)
			set_good(pace, pace->best);
		pace->doubts = 0;
		pace->best = 0;
	}
	if (pace->level == PACE_SEARCH)
		pace->level = PACE_FINE;
	set_rate(pace, sample, pace->good > arrived ? pace->good : arrived);
	return true;
}

/* The rate was well for a window. */
static bool try_more(struct pace *pace, const struct pace_sample *sample)
{
	uint64_t arrived = delivered(pace, sample);

	note_peak(pace, sample, arrived);
	if (arrived < pace->rate / 100 * steps[pace->level].used)
		return too_little(pace, sample, arrived);
	pace->unused = pace->doubts = 0;
	pace->best = 0;
	if (++pace->windows < steps[pace->level].windows) {
		pace->since = sample->now;
		pace->since_acked = sample->acked;
		pace->has_waited = false;
		return false;
	}
	pace->good = pace->rate;
	/* Larger steps again where there is room, the largest beyond what was too much once. */
	if (++pace->wins >= WINS && pace->level > PACE_SEARCH &&
	    (pace->good > pace->bad ||
	     (pace->level > PACE_FINE && pace->good < pace->bad / 5 * 4))) {
		pace->level--;
		pace->wins = 0;
	}
	if (pace->good >= RATE_FREE)
		return be_free(pace, sample);
	set_rate(pace, sample, pace->good / 100 * steps[pace->level].percent);
	return true;
}

/* Round trips are long, but is there a queue? With half as much one becomes shorter, and more comes
 * out than goes in. */
static bool watch_free(struct pace *pace, const struct pace_sample *sample, uint32_t queued)
{
	uint64_t arrived = delivered(pace, sample);

	if (queued <= LONG_US)
		pace->long_from = 0;
	else if (!pace->long_from)
		pace->long_from = sample->now;
	if (pace->long_from && sample->now - pace->long_from >= LONG_FREE_NS &&
	    sample->now >= pace->trusted && sample->now - pace->since >= LONG_FREE_NS &&
	    arrived < RATE_TEST && arrived > RATE_LEAST) {
		pace->level = PACE_TEST;
		set_rate(pace, sample, arrived / 2);
		return true;
	}
	if (sample->now - pace->since >= FREE_NS) {
		note_peak(pace, sample, arrived);
		pace->since = sample->now;
		pace->since_acked = sample->acked;
	}
	return false;
}

static bool end_test(struct pace *pace, const struct pace_sample *sample, uint32_t queued)
{
	uint64_t arrived = delivered(pace, sample), before = 2 * pace->rate;

	if (sample->now - pace->since < TEST_NS)
		return false;
	if (queued > LONG_US / 2 && arrived < pace->rate / 100 * QUEUE_PERCENT) {
		pace->trusted = sample->now + TRUSTED_NS;
		return be_free(pace, sample);
	}
	/* The peak is of a time when the link was faster. */
	pace->peak = 0;
	pace->wins = pace->doubts = 0;
	pace->best = 0;
	if (arrived < before)
		arrived = before;
	set_good(pace, arrived / 20 * 19);
	pace->bad = arrived;
	pace->level = PACE_FINE;
	drain(pace, sample);
	return true;
}

bool pace_sample(struct pace *pace, const struct pace_sample *sample)
{
	uint32_t queued = sample->rtt > sample->min_rtt ? sample->rtt - sample->min_rtt : 0;

	if (!pace->since) {
		pace->since = sample->now;
		pace->since_acked = sample->acked;
		return true;
	}
	if (pace->level == PACE_FREE)
		return watch_free(pace, sample, queued);
	if (pace->level == PACE_TEST)
		return end_test(pace, sample, queued);
	if (pace->is_draining)
		return is_drained(pace, sample, queued);
	/* A queue makes all of them long, a busy processor some. */
	if (queued <= LONG_US)
		pace->nr_long = 0;
	else if (!pace->nr_long++)
		pace->long_from = sample->now;
	if (pace->nr_long >= NR_LONG && sample->now - pace->long_from >= steps[pace->level].alarm)
		return too_much(pace, sample);
	pace->has_waited |= sample->has_waited;
	if (!pace->nr_long && sample->now - pace->since >= steps[pace->level].window)
		return try_more(pace, sample);
	return false;
}

uint32_t pace_packet(const struct pace *pace)
{
	uint64_t bytes = pace->rate / 1000000 * PACKET_US;

	if (!pace->rate || bytes >= PACKET_NONE)
		return 0;
	return bytes > PACKET_LEAST ? (uint32_t)bytes : PACKET_LEAST;
}
