// SPDX-License-Identifier: GPL-2.0
#include "lazy/remote.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lazy/engine.h"
#include "lazy/hot.h"
#include "lazy/prefetch.h"
#include "transport/client.h"
#include "transport/tls.h"
#include "transport/token.h"
#include "transport/wire.h"
#include "util/clock.h"
#include "util/bisect.h"
#include "util/log.h"
#include "util/scope.h"

#define SPAN_GAP       (1ull << 20)
#define TEND_EVERY_NS  200000000ull
#define DROPPED_ENOUGH 256u

/* AGAIN: by a daemon that follows one that died as it told the source, which may have ended then.
 */
enum { FIRST_MS = 10000, FINISH_MS = 30000, FINISH_AGAIN_MS = 3000 };
/* Delivered at once of what was pushed; a fault waits for no more. */
enum { QUIET_PAGES = 32, BUSY_PAGES = 8 };

struct remote {
	struct client *client;
	struct tls_context *tls;
	struct watch watch;
	struct hot hot;
	bool has_to_push; /* the source is to be told as soon as that may be */
	bool is_pushing;  /* something was said to be owed on this connection */
	bool is_answer;	  /* what lands now was asked for */
	uint64_t tended;  /* ns */
	uint64_t dropped; /* pages, as of the last time the source was told */
};

/* ---- what is owed --------------------------------------------------------------- */

/* The addresses in an area of [image, image + len) of its source. */
static bool area_part(const struct owed_area *area, const struct lazy_source *source,
		      uint64_t image, uint64_t len, uint64_t *start, uint64_t *end)
{
	uint64_t mask = area->page_size - 1, from, to;

	if (!area->bits || area->bits->source != source)
		return false;
	from = image > area->image ? image : area->image;
	to = area->image + (area->end - area->start);
	if (to > image + len)
		to = image + len;
	if (from >= to)
		return false;
	*start = (area->start + (from - area->image)) & ~mask;
	*end = (area->start + (to - area->image) + mask) & ~mask;
	return true;
}

bool remote_is_owed(struct space *space, const struct lazy_source *source, uint64_t image,
		    uint64_t len)
{
	struct owed_area *area;

	owed_for_each(area, &space->owed)
	{
		struct owed_run run;
		uint64_t start, end;

		if (area_part(area, source, image, len, &start, &end) &&
		    owed_area_run(area, start, area->page_size, &run) && run.start < end)
			return true;
	}
	return false;
}

static bool is_owed(struct lazyd *lazyd, const struct lazy_source *source, uint64_t image,
		    uint64_t len)
{
	struct space *space;

	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		if (!space->is_gone && remote_is_owed(space, source, image, len))
			return true;
	}
	return false;
}

void remote_release(struct lazyd *lazyd, struct lazy_source *source, uint64_t image, uint64_t len)
{
	struct landing *landing = lazy_source_landing(source);
	uint64_t bytes = 0;

	if (!landing)
		return;
	if (!is_owed(lazyd, source, image, len)) {
		bytes = landing_release(landing, image, len);
	} else {
		for (uint64_t at = image; at < image + len; at += LAZY_PAGE) {
			if (!is_owed(lazyd, source, at, LAZY_PAGE))
				bytes += landing_release(landing, at, LAZY_PAGE);
		}
	}
	client_released(lazyd->remote->client, bytes);
}

/* ---- pages that landed ------------------------------------------------------------ */

void remote_span_of(struct lazyd *lazyd, struct space *space, struct lazy_source *source,
		    uint64_t image, uint64_t len, enum lazy_cause cause)
{
	struct owed_area *area, *next;
	uint64_t start, end;

	/* Areas may come and go while guard pages are looked for. */
	for (area = RB_MIN(owed_tree, &space->owed.areas); area; area = next) {
		uint64_t after = area->end;

		if (area_part(area, source, image, len, &start, &end))
			fill_landed(lazyd, space, area, start, end, cause);
		next = owed_next(&space->owed, after);
	}
	space->is_due = true;
}

void remote_span(struct lazyd *lazyd, struct lazy_source *source, uint64_t image, uint64_t len,
		 enum lazy_cause cause)
{
	struct space *space;

	TAILQ_FOREACH (space, &lazyd->spaces, link)
		remote_span_of(lazyd, space, source, image, len, cause);
}

static void deliver_landed(struct lazyd *lazyd, struct lazy_source *source, uint64_t image,
			   uint64_t len)
{
	enum lazy_cause cause = !lazyd->remote->is_answer ? CAUSE_BACKGROUND
				: len == LAZY_PAGE	  ? CAUSE_DEMAND
							  : CAUSE_NEIGHBOUR;

	remote_span(lazyd, source, image, len, cause);
}

static void landed(void *ctx, struct landing *landing, struct landing_slots slots)
{
	struct lazy_source *source = landing_owner(landing);
	struct landing_slots rest = slots, all = slots;
	uint64_t start = 0, end = 0;
	struct lazyd *lazyd = ctx;
	struct landing_run run;
	bool any_owed = false;

	while (landing_next_run(landing, &slots, &run)) {
		if (end && (run.vaddr > end + SPAN_GAP || run.vaddr < start)) {
			deliver_landed(lazyd, source, start, end - start);
			end = 0;
		}
		if (!end)
			start = run.vaddr;
		end = run.vaddr + run.nr_pages * LAZY_PAGE;
	}
	if (end)
		deliver_landed(lazyd, source, start, end - start);
	while (!any_owed && landing_next_run(landing, &rest, &run))
		any_owed = is_owed(lazyd, source, run.vaddr, run.nr_pages * LAZY_PAGE);
	if (!any_owed && prefetch_awaits(lazyd, landing_object(landing)))
		return; /* for a task that is still to come */
	if (!any_owed) {
		client_released(lazyd->remote->client, landing_release_slots(landing, &all));
		return;
	}
	while (landing_next_run(landing, &all, &run))
		remote_release(lazyd, source, run.vaddr, run.nr_pages * LAZY_PAGE);
}

/* ---- what the source is told --------------------------------------------------------- */

struct run_list {
	struct landing_run *runs;
	size_t count, room;
};

static int add_run(struct run_list *list, uint64_t vaddr, uint64_t len)
{
	struct landing_run *last = list->count ? &list->runs[list->count - 1] : NULL;

	if (last && last->vaddr + last->nr_pages * LAZY_PAGE == vaddr) {
		last->nr_pages += len / LAZY_PAGE;
		return 0;
	}
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		void *grown = realloc(list->runs, room * sizeof(*list->runs));

		if (!grown)
			return -ENOMEM;
		list->runs = grown;
		list->room = room;
	}
	list->runs[list->count++] = (struct landing_run){ vaddr, len / LAZY_PAGE };
	return 0;
}

/* The parts of an image range that have not come yet. */
static int add_absent(struct run_list *list, const struct landing *landing, uint64_t image,
		      uint64_t len)
{
	uint64_t avail;
	int ret = 0;

	for (uint64_t at = 0; !ret && at < len; at += avail) {
		const void *bytes;

		if (landing_look(landing, image + at, len - at, &avail, &bytes) == LANDING_ABSENT)
			ret = add_run(list, image + at, avail);
	}
	return ret;
}

static int add_area(struct run_list *list, struct owed_area *area, const struct landing *landing)
{
	uint64_t at = area->start;
	struct owed_run run;
	int ret = 0;

	while (!ret && at < area->end && owed_area_run(area, at, UINT64_MAX / 2, &run)) {
		ret = add_absent(list, landing, run.image, run.end - run.start);
		at = run.end;
	}
	return ret;
}

static int compare_runs(const void *a, const void *b)
{
	const struct landing_run *left = a, *right = b;

	return left->vaddr < right->vaddr ? -1 : left->vaddr > right->vaddr;
}

/* Ascending and apart, as the protocol wants them. */
static void sort_runs(struct run_list *list)
{
	size_t kept = 0;

	if (!list->count)
		return;
	qsort(list->runs, list->count, sizeof(*list->runs), compare_runs);
	for (size_t i = 1; i < list->count; i++) {
		struct landing_run *last = &list->runs[kept], *run = &list->runs[i];
		uint64_t last_end = last->vaddr + last->nr_pages * LAZY_PAGE;
		uint64_t end = run->vaddr + run->nr_pages * LAZY_PAGE;

		if (run->vaddr > last_end)
			list->runs[++kept] = *run;
		else if (end > last_end)
			last->nr_pages = (end - last->vaddr) / LAZY_PAGE;
	}
	list->count = kept + 1;
}

/* The first run that ends after vaddr, in a sorted list. */
static size_t first_after(const struct run_list *list, uint64_t vaddr)
{
	return bisect(list->count, i,
		      list->runs[i].vaddr + list->runs[i].nr_pages * LAZY_PAGE > vaddr);
}

/* For tasks that have not said yet what they owe. */
static int add_workset(const struct workset *set, const struct landing *landing,
		       struct run_list *list)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < set->count; i++) {
		const struct workset_run *run = &set->runs[i];

		if (run->object == landing_object(landing))
			ret = add_absent(list, landing, run->vaddr, run->nr_pages * LAZY_PAGE);
	}
	return ret;
}

static int collect_owed(struct lazyd *lazyd, const struct lazy_source *source,
			struct run_list *list)
{
	struct space *space;
	int ret = 0;

	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		struct owed_area *area;

		owed_for_each(area, &space->owed)
		{
			if (!ret && !space->is_gone && area->bits && area->bits->source == source)
				ret = add_area(list, area, lazy_source_landing(source));
		}
	}
	if (!ret && prefetch_awaits(lazyd, lazy_source_object(source)))
		ret = add_workset(&lazyd->workset_first, lazy_source_landing(source), list);
	sort_runs(list);
	return ret;
}

static uint64_t count_dropped(struct lazyd *lazyd)
{
	uint64_t sum = lazyd->stats.dropped;
	struct space *space;

	TAILQ_FOREACH (space, &lazyd->spaces, link)
		sum += space->owed.dropped;
	return sum;
}

/* The working set's pages that are owed, in its order. */
static int say_first(struct lazyd *lazyd, const struct landing *landing,
		     const struct run_list *owed)
{
	struct run_list first = { 0 };
	int ret = 0;

	for (size_t i = 0; !ret && i < lazyd->workset.count; i++) {
		const struct workset_run *run = &lazyd->workset.runs[i];
		uint64_t end = run->vaddr + run->nr_pages * LAZY_PAGE;

		if (run->object != landing_object(landing))
			continue;
		for (size_t at = first_after(owed, run->vaddr);
		     !ret && at < owed->count && owed->runs[at].vaddr < end; at++) {
			uint64_t from = owed->runs[at].vaddr;
			uint64_t to = from + owed->runs[at].nr_pages * LAZY_PAGE;

			if (from < run->vaddr)
				from = run->vaddr;
			if (to > end)
				to = end;
			ret = add_run(&first, from, to - from);
		}
	}
	if (!ret && first.count)
		ret = client_say(lazyd->remote->client, WIRE_F_PRIORITY, landing, first.runs,
				 first.count, false);
	free(first.runs);
	return ret;
}

static int push_source(struct lazyd *lazyd, struct lazy_source *source)
{
	struct landing *landing = lazy_source_landing(source);
	struct client *client = lazyd->remote->client;
	struct run_list list = { 0 };
	int ret = collect_owed(lazyd, source, &list);

	if (!ret && lazyd->remote->is_pushing)
		ret = client_say(client, WIRE_F_DROP, landing, NULL, 0, true);
	if (!ret && list.count)
		ret = client_say(client, WIRE_F_OWED, landing, list.runs, list.count, false);
	if (!ret && lazyd->workset.count)
		ret = say_first(lazyd, landing, &list);
	log_debug("source: %zu ranges of %" PRIu64 " are owed", list.count,
		  wire_object_id(landing_object(landing)));
	free(list.runs);
	return ret;
}

void remote_push(struct lazyd *lazyd)
{
	struct remote *remote = lazyd->remote;
	struct source_ref *ref;
	int ret = 0;

	if (!remote || client_must_ask(remote->client) || !client_is_up(remote->client))
		return;
	remote->has_to_push = !fill_may_run_ahead(lazyd);
	if (remote->has_to_push)
		return;
	SLIST_FOREACH (ref, &lazyd->sources, link) {
		if (!ret && lazy_source_landing(ref->source))
			ret = push_source(lazyd, ref->source);
	}
	if (!ret)
		ret = client_say_start(remote->client);
	remote->is_pushing = true;
	remote->dropped = count_dropped(lazyd);
	if (ret == -ENOMEM)
		log_ret(ret, "source: what is owed; the background goes without");
}

void remote_tend(struct lazyd *lazyd)
{
	struct remote *remote = lazyd->remote;

	if (!remote || TAILQ_EMPTY(&lazyd->spaces) || clock_ns() - remote->tended < TEND_EVERY_NS)
		return;
	remote->tended = clock_ns();
	if (!remote->is_pushing || remote->has_to_push ||
	    count_dropped(lazyd) - remote->dropped >= DROPPED_ENOUGH)
		remote_push(lazyd);
}

/* ---- the link ------------------------------------------------------------------------- */

/* Whoever waits for a page asks again. */
static void look_again(struct lazyd *lazyd)
{
	struct space *space;

	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		space->is_due = true;
		space->is_idle = false;
	}
	lazyd->refill_due = true;
}

static void link_up(void *ctx)
{
	struct lazyd *lazyd = ctx;

	lazyd->remote->is_pushing = false;
	look_again(lazyd);
	remote_push(lazyd);
}

static void link_down(void *ctx)
{
	struct lazyd *lazyd = ctx;

	lazyd->remote->is_pushing = false;
}

/* What has not come will never come: its pages count as lost, which ends who needs them. */
static void link_gone(void *ctx, int error)
{
	struct lazyd *lazyd = ctx;
	struct source_ref *ref;

	if (!TAILQ_EMPTY(&lazyd->spaces))
		log_ret(error, "the source is gone for good: tasks that need a page of it end");
	else if (lazyd->opts->awaits_restore && !lazyd->is_restored)
		lazyd->is_leaving = true; /* and the restore with it: nobody will come any more */
	SLIST_FOREACH (ref, &lazyd->sources, link) {
		if (lazy_source_landing(ref->source))
			landing_lose_rest(lazy_source_landing(ref->source));
	}
	look_again(lazyd);
}

static const struct client_events events = { landed, link_up, link_down, link_gone };

void remote_ready(struct lazyd *lazyd)
{
	lazyd->remote->is_answer = true;
	client_process(lazyd->remote->client, &events, lazyd);
	lazyd->remote->is_answer = false;
	lazyd->refill_due = true;
	if (remote_must_ask(lazyd))
		look_again(lazyd);
}

bool remote_work(struct lazyd *lazyd)
{
	if (!lazyd->remote ||
	    !client_work(lazyd->remote->client, fill_is_quiet(lazyd) ? QUIET_PAGES : BUSY_PAGES,
			 &events, lazyd))
		return false;
	lazyd->refill_due = true;
	return true;
}

bool remote_is_gone(const struct lazyd *lazyd)
{
	return lazyd->remote && client_is_gone(lazyd->remote->client);
}

bool remote_must_ask(const struct lazyd *lazyd)
{
	return lazyd->remote && client_must_ask(lazyd->remote->client);
}

int remote_ask(struct lazyd *lazyd, struct lazy_source *source, uint64_t image, uint64_t len,
	       bool is_demand)
{
	int ret = client_get(lazyd->remote->client, lazy_source_landing(source), image, len,
			     is_demand);

	return ret == -ENOTCONN ? 0 : ret;
}

void remote_fault(struct lazyd *lazyd, struct lazy_source *source, uint64_t image)
{
	struct remote *remote = lazyd->remote;
	struct landing *landing = lazy_source_landing(source);
	struct landing_run region = { image / HOT_REGION * HOT_REGION, HOT_REGION / LAZY_PAGE };

	if (!remote || !landing || !remote->is_pushing || !fill_may_run_ahead(lazyd) ||
	    !hot_fault(&remote->hot, landing_object(landing), image))
		return;
	log_debug("source: faults are dense at 0x%" PRIx64 " of %" PRIu64, region.vaddr,
		  wire_object_id(landing_object(landing)));
	client_say(remote->client, WIRE_F_PRIORITY, landing, &region, 1, false);
}

/* For a daemon that may follow: written to the place that is not in force. */
static void note_place(struct journal *journal, const char *host, uint16_t port)
{
	uint32_t place = atomic_load(&journal->place) == 1 ? 2 : 1;

	snprintf(journal->places[place - 1].host, JOURNAL_HOST, "%s", host);
	journal->places[place - 1].port = port;
	atomic_store(&journal->place, place);
}

int remote_move(struct lazyd *lazyd, const char *host, uint16_t port)
{
	if (!lazyd->remote)
		return -ENOTCONN;
	if (strlen(host) >= JOURNAL_HOST)
		return -ENAMETOOLONG;
	note_place(lazyd->journal, host, port);
	return client_move(lazyd->remote->client, host, port);
}

int remote_rate(struct lazyd *lazyd, uint64_t bytes_per_second)
{
	return lazyd->remote ? client_say_rate(lazyd->remote->client, bytes_per_second) : -ENOTCONN;
}

void remote_figures(struct lazyd *lazyd)
{
	if (!lazyd->remote || !lazyd->remote->client)
		return;
	client_figures(lazyd->remote->client, &lazyd->stats.source);
	lazyd->stats.has_source = true;
}

/* ---- begin and end --------------------------------------------------------------------- */

int remote_add(struct lazyd *lazyd, struct lazy_source *source)
{
	struct landing *landing = lazy_source_landing(source);

	if (!landing)
		return 0;
	if (!lazyd->remote)
		return log_ret(-ENOTCONN,
			       "pages of %" PRIu64 " are only at a page server: start "
			       "lazy-pages with --page-server --address ADDR --port PORT",
			       wire_object_id(landing_object(landing)));
	if (client_is_gone(lazyd->remote->client))
		return log_ret(-ENOTCONN, "the source is gone");
	return client_add(lazyd->remote->client, landing);
}

static int start_client(struct lazyd *lazyd, struct remote *remote)
{
	const struct options *opts = lazyd->opts;
	const unsigned int seconds_max = UINT_MAX / 1000;
	unsigned int seconds = opts->source_timeout;
	struct token token;
	struct client_config config = {
		.host = opts->address ? opts->address : "127.0.0.1",
		.port = opts->port,
		.socket = opts->ps_socket,
		.verify_name = !opts->tls_no_cn_verify,
		.want_lz4 = opts->compress != COMPRESS_NONE,
		.timeout_ms = (seconds < seconds_max ? seconds : seconds_max) * 1000,
	};
	struct journal *journal = lazyd->journal;
	uint32_t place = atomic_load(&journal->place);
	int ret = token_load(lazyd->images, &token);

	if (ret && ret != -ENOENT)
		return ret;
	if (place) {
		config.host = journal->places[place - 1].host;
		config.port = journal->places[place - 1].port;
	}
	/* To the source all daemons are one client. */
	if (!atomic_load(&journal->has_session)) {
		if (getrandom(journal->session, sizeof(journal->session), 0) !=
		    sizeof(journal->session))
			return log_errno("random bytes");
		atomic_store(&journal->has_session, true);
	}
	config.session = journal->session;
	config.token = ret ? NULL : &token;
	ret = tls_context_new(opts, &remote->tls);
	config.tls = remote->tls;
	if (!ret)
		ret = client_start(&config, &remote->client);
	return ret;
}

int remote_open(struct lazyd *lazyd)
{
	struct remote *remote;
	int ret;

	if (!lazyd->opts->page_server)
		return 0;
	if (!lazyd->opts->port && lazyd->opts->ps_socket < 0)
		return log_ret(-EINVAL, "--page-server needs --port or --ps-socket");
	/* What the dead daemon had asked for is still on its way there, or half read. */
	if (lazyd->opts->ps_socket >= 0 && lazyd->journal->generation)
		return log_ret(-ENOTCONN, "the connection to the source was the dead daemon's");
	remote = calloc(1, sizeof(*remote));
	if (!remote)
		return -ENOMEM;
	lazyd->remote = remote;
	ret = start_client(lazyd, remote);
	/* One that follows another has tasks to serve, and a source that may be away for a while.
	 */
	if (!ret && !lazyd->journal->generation)
		ret = client_wait_first(remote->client, FIRST_MS);
	if (!ret)
		ret = engine_watch(lazyd, client_fd(remote->client), &remote->watch, WATCH_REMOTE,
				   NULL);
	return ret;
}

void remote_close(struct lazyd *lazyd)
{
	struct remote *remote = lazyd->remote;

	if (!remote)
		return;
	if (remote->client && !lazyd->error &&
	    (lazyd->is_restored || (lazyd->any_complete && !lazyd->opts->awaits_restore)) &&
	    !client_is_gone(remote->client))
		client_finish(remote->client, atomic_exchange(&lazyd->journal->is_finishing, true)
						      ? FINISH_AGAIN_MS
						      : FINISH_MS);
	remote_figures(lazyd);
	client_stop(remote->client);
	tls_context_free(remote->tls);
	hot_fini(&remote->hot);
	free(remote);
	lazyd->remote = NULL;
}
