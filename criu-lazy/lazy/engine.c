// SPDX-License-Identifier: GPL-2.0
/*
 * The loop: what is readable, then the faults, then one bounded piece of copying, and again. It
 * sleeps only when there is nothing to copy, that is, when nothing is owed or all that is owed must
 * wait.
 */
#include "lazy/engine.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "lazy/control.h"
#include "lazy/durable.h"
#include "lazy/remote.h"
#include "lazy/supervisor.h"
#include "lazy/uffd.h"
#include "util/clock.h"
#include "util/log.h"

#define NS_PER_SEC	1000000000ull
#define REPORT_EVERY_NS 200000000ull
#define MISSING_NS	(2 * NS_PER_SEC)

int engine_watch(struct lazyd *lazyd, int fd, struct watch *watch, enum watch_kind kind,
		 void *object)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };

	*watch = (struct watch){ .kind = kind, .object = object };
	if (epoll_ctl(lazyd->epoll_fd, EPOLL_CTL_ADD, fd, &event))
		return log_errno("epoll: watch descriptor %d", fd);
	return 0;
}

void engine_unwatch(struct lazyd *lazyd, int fd)
{
	epoll_ctl(lazyd->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void got_signal(struct lazyd *lazyd)
{
	struct signalfd_siginfo info;

	if (read(lazyd->signal_fd, &info, sizeof(info)) != sizeof(info) || lazyd->is_leaving)
		return;
	lazyd->is_leaving = true;
	if (!TAILQ_EMPTY(&lazyd->spaces))
		log_warn("signal %u: finishing first, tasks are still owed pages", info.ssi_signo);
}

/* The process is gone, its memory perhaps not: another task may share it, or a vfork child. */
static void process_ended(struct lazyd *lazyd, struct space *space)
{
	epoll_ctl(lazyd->epoll_fd, EPOLL_CTL_DEL, space->pidfd, NULL);
	if (uffd_is_gone(space->uffd))
		space->is_gone = true;
	else
		log_debug("task %d (pid %d): ended, its memory is still in use", space->image_pid,
			  space->host_pid);
}

static void dispatch(struct lazyd *lazyd, const struct epoll_event *event)
{
	struct watch *watch = event->data.ptr;

	switch (watch->kind) {
	case WATCH_SPACE:
		space_read(lazyd, watch->object);
		break;
	case WATCH_LISTEN:
		conn_accept(lazyd);
		break;
	case WATCH_CONN:
		conn_ready(lazyd, watch->object);
		break;
	case WATCH_PIDFD:
		process_ended(lazyd, watch->object);
		break;
	case WATCH_SUPERVISOR:
		supervisor_replace(lazyd);
		break;
	case WATCH_CONTROL:
		control_ready(lazyd);
		break;
	case WATCH_REMOTE:
		remote_ready(lazyd);
		break;
	case WATCH_SIGNAL:
		got_signal(lazyd);
		break;
	}
}

/* Spaces first, so that a fault does not wait behind a hello. Nothing is freed in here. */
static void poll_once(struct lazyd *lazyd, const struct timespec *timeout)
{
	struct epoll_event events[POLL_BATCH];
	int count = epoll_pwait2(lazyd->epoll_fd, events, POLL_BATCH, timeout, NULL);

	for (int i = 0; i < count; i++) {
		if (((struct watch *)events[i].data.ptr)->kind == WATCH_SPACE)
			dispatch(lazyd, &events[i]);
	}
	for (int i = 0; i < count; i++) {
		if (((struct watch *)events[i].data.ptr)->kind != WATCH_SPACE)
			dispatch(lazyd, &events[i]);
	}
}

static bool is_settled(const struct lazyd *lazyd, struct space *space)
{
	bool is_swept = space->is_swept || lazyd->opts->memory_mode == MEMORY_MODE_DEMAND;

	if (space->is_arming)
		return false;
	return space->is_gone || (is_swept && !space->nr_parked && owed_is_empty(&space->owed));
}

/* Ends what is settled, retries what was parked. When to look again, in ns from now. */
static uint64_t tend_spaces(struct lazyd *lazyd)
{
	struct space *space, *next;
	uint64_t now = clock_ns(), wait = REPORT_EVERY_NS;

	if (lazyd->background_after > now && lazyd->background_after - now < wait)
		wait = lazyd->background_after - now;
	TAILQ_FOREACH_SAFE (space, &lazyd->spaces, link, next) {
		if (space->nr_parked)
			fill_parked(lazyd, space);
		if (is_settled(lazyd, space)) {
			lazyd->any_complete |= !space->is_gone;
			space_end(lazyd, space);
			lazyd->stats.complete = clock_ns();
		} else if (space->hold > now && space->hold - now < wait) {
			wait = space->hold - now;
		}
	}
	return wait;
}

/* One piece: around a fault if there was one, else in the background, spaces in turn. */
static bool copy_piece(struct lazyd *lazyd)
{
	struct space *space;
	bool busy = false;

	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		if (space->has_near && fill_near(lazyd, space))
			busy = true;
	}
	if (busy)
		return true;
	if (fill_workset(lazyd) || remote_work(lazyd))
		return true;
	if (!fill_may_run_ahead(lazyd))
		return false;
	for (space = TAILQ_FIRST(&lazyd->spaces); space; space = TAILQ_NEXT(space, link)) {
		if (!fill_background(lazyd, space))
			continue;
		TAILQ_REMOVE(&lazyd->spaces, space, link);
		TAILQ_INSERT_TAIL(&lazyd->spaces, space, link);
		return true;
	}
	return false;
}

/*
 * A restore connects for all of its tasks before it forks the first one. So when no connection is
 * left, who has not come does not come; the wait is for other clients, which may connect one by
 * one.
 */
static bool is_abandoned(struct lazyd *lazyd)
{
	if (!lazyd->nr_hellos && !lazyd->nr_lost)
		return false;
	if (!lazyd->quiet_since)
		lazyd->quiet_since = clock_ns();
	if ((!lazyd->nr_tasks || lazyd->nr_hellos + lazyd->nr_lost < lazyd->nr_tasks) &&
	    clock_ns() - lazyd->quiet_since < MISSING_NS)
		return false;
	log_err("%u of %u tasks came: the restore has failed", lazyd->nr_hellos, lazyd->nr_tasks);
	lazyd->error = lazyd->error ? lazyd->error : -ESRCH;
	return true;
}

/*
 * The tasks have ended before they had all their memory. Was that their own will, or has the
 * restore failed, and the source must keep what it has? The restore will say, at once.
 */
static bool must_hear_of_restore(const struct lazyd *lazyd)
{
	if (lazyd->opts->awaits_restore)
		return lazyd->remote && !lazyd->is_restored && !lazyd->is_leaving &&
		       !remote_is_gone(lazyd);
	return lazyd->remote && lazyd->stats.complete && !lazyd->any_complete &&
	       !lazyd->is_restored && clock_ns() - lazyd->stats.complete < MISSING_NS;
}

/* No space is left. */
static bool is_finished(struct lazyd *lazyd)
{
	if (!LIST_EMPTY(&lazyd->conns) || must_hear_of_restore(lazyd))
		return false;
	if (lazyd->is_leaving || (lazyd->nr_tasks && lazyd->nr_hellos >= lazyd->nr_tasks))
		return true;
	return is_abandoned(lazyd);
}

int engine_run(struct lazyd *lazyd)
{
	for (;;) {
		struct timespec timeout = { 0 };
		uint64_t wait;

		fill_reap(lazyd, NULL);
		wait = tend_spaces(lazyd);
		if (TAILQ_EMPTY(&lazyd->spaces)) {
			if (is_finished(lazyd))
				break;
			timeout.tv_nsec = REPORT_EVERY_NS;
		} else if (!copy_piece(lazyd)) {
			timeout.tv_nsec = (long)wait;
		}
		poll_once(lazyd, &timeout);
		remote_tend(lazyd);
		conn_refill(lazyd);
		durable_mirror(lazyd);
		if (lazyd->stats.start && clock_ns() - lazyd->last_report > REPORT_EVERY_NS)
			stats_report(lazyd, false);
	}
	return lazyd->error;
}
