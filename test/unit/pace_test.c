// SPDX-License-Identifier: GPL-2.0
/* Pacing against a model of a link: a queue that is emptied at a fixed rate. */
#include "transport/pace.h"
#include "unit.h"

#define MS 1000000ull

struct link {
	double rate;  /* bytes per second */
	double most;  /* that the sender can do */
	double queue; /* bytes */
	uint64_t now, acked;
	double worst;  /* us waited in the queue, since it was last set to 0 */
	uint32_t busy; /* us that answers wait for a processor */
};

/* The sender sends for `duration` ns, looking every half millisecond. Mean rate of arrival. */
static double run(struct pace *pace, struct link *link, uint64_t duration)
{
	uint64_t end = link->now + duration, from = link->acked;

	while (link->now < end) {
		const double step = 0.0005;
		double allowed = pace->rate ? (double)pace->rate : 1e12;
		double sent = (allowed < link->most ? allowed : link->most) * step;
		double gone = link->rate * step;
		struct pace_sample sample;

		link->now += 500000;
		link->queue += sent;
		if (link->queue > 1e6) /* the socket is full */
			link->queue = 1e6;
		if (gone > link->queue)
			gone = link->queue;
		link->queue -= gone;
		link->acked += (uint64_t)gone;
		double wait = link->queue / link->rate * 1e6;

		if (wait > link->worst)
			link->worst = wait;
		sample = (struct pace_sample){
			.now = link->now,
			.acked = link->acked,
			.min_rtt = 50,
			.rtt = 50 + (uint32_t)wait + link->busy,
			.has_waited = allowed < link->most || wait > 0 || link->busy,
		};
		pace_sample(pace, &sample);
	}
	return (double)(link->acked - from) / ((double)duration / 1e9);
}

static void test_finds_the_link(double rate)
{
	struct link link = { .rate = rate, .most = 1e9, .now = 1000 };
	struct pace pace;
	double mean;

	pace_init(&pace);
	run(&pace, &link, 600 * MS);
	link.worst = 0;
	mean = run(&pace, &link, 3000 * MS);
	check(mean > 0.93 * rate);
	check(link.worst < 2000);
	check(pace_packet(&pace) > 0);
	check(pace_packet(&pace) < 0.0001 * rate + 4097);
}

static void test_fast_link_is_left_alone(void)
{
	struct link link = { .rate = 5e9, .most = 2e9, .now = 1000 };
	struct pace pace;

	pace_init(&pace);
	run(&pace, &link, 50 * MS);
	check_eq(pace.level, PACE_FREE);
	check_eq(pace.rate, 0);
	check_eq(pace_packet(&pace), 0);
	check(run(&pace, &link, 50 * MS) > 1.9e9);
}

static void test_slow_sender_is_left_alone(void)
{
	struct link link = { .rate = 5e9, .most = 2e7, .now = 1000 };
	struct pace pace;

	pace_init(&pace);
	run(&pace, &link, 100 * MS);
	check_eq(pace.level, PACE_FREE);
}

static void test_link_becomes_slower(void)
{
	struct link link = { .rate = 5e9, .most = 2e9, .now = 1000 };
	struct pace pace;
	double mean;

	pace_init(&pace);
	run(&pace, &link, 100 * MS);
	link.rate = 1.2e8;
	run(&pace, &link, 2000 * MS);
	link.worst = 0;
	mean = run(&pace, &link, 2000 * MS);
	check(mean > 0.9 * link.rate);
	check(link.worst < 2000);
	link.rate = 3e7;
	run(&pace, &link, 2000 * MS);
	link.worst = 0;
	mean = run(&pace, &link, 2000 * MS);
	check(mean > 0.85 * link.rate);
	check(link.worst < 8000);
}

/* Round trips are long because processors are busy, at whatever rate: no reason to be slow. */
static void test_busy_processors_are_no_queue(uint32_t busy)
{
	struct link link = { .rate = 5e9, .most = 2e8, .now = 1000 };
	struct pace pace;

	pace_init(&pace);
	run(&pace, &link, 100 * MS);
	link.busy = busy;
	run(&pace, &link, 500 * MS);
	check(run(&pace, &link, 3000 * MS) > 0.7 * link.most);
	link.rate = 1.2e8; /* and a queue behind them is found all the same */
	link.busy = 50;
	run(&pace, &link, 2000 * MS);
	link.worst = 0;
	check(run(&pace, &link, 2000 * MS) > 0.85 * link.rate);
	check(link.worst < 4000);
}

static void test_silence_is_no_harm(void)
{
	struct pace_sample sample = { .now = 1 };
	struct pace pace;

	pace_init(&pace);
	for (int i = 0; i < 1000; i++) {
		pace_sample(&pace, &sample);
		sample.now += 10 * MS;
		sample.rtt = i % 7 * 1000;
		sample.has_waited = i % 3 == 0;
	}
	check(pace.level == PACE_FREE || pace.rate >= 1000000);
}

int main(void)
{
	test_finds_the_link(1.19e8);
	test_finds_the_link(2e8);
	test_finds_the_link(1.2e7);
	test_fast_link_is_left_alone();
	test_slow_sender_is_left_alone();
	test_link_becomes_slower();
	test_busy_processors_are_no_queue(400);
	test_busy_processors_are_no_queue(3500);
	test_silence_is_no_harm();
	return 0;
}
