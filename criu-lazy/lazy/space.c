// SPDX-License-Identifier: GPL-2.0
/*
 * Address spaces: their events, and their beginning and end.
 *
 * Order matters (UFFD.md 11): everything readable is read and all events are applied before the
 * first fault is answered, because read(2) yields faults before events whatever came first. Until
 * an event is read the kernel refuses copies with EAGAIN, and from then on the owed set knows it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lazy/advice.h"
#include "lazy/collapse.h"
#include "lazy/durable.h"
#include "lazy/engine.h"
#include "lazy/identify.h"
#include "lazy/uffd.h"
#include "util/clock.h"
#include "util/log.h"

enum { FAULTS_MAX = 1024, SHORT_OF_FDS_US = 500 };

struct fault {
	uint64_t addr;
	uint32_t tid;
};

struct space *space_new(struct lazyd *lazyd, int uffd)
{
	struct space *space = calloc(1, sizeof(*space));

	if (!space)
		return NULL;
	space->uffd = uffd;
	space->pidfd = space->pagemap_fd = -1;
	space->slot = -1;
	space->born = clock_ns();
	owed_init(&space->owed);
	TAILQ_INSERT_TAIL(&lazyd->spaces, space, link);
	return space;
}

static bool has_ended(int pidfd)
{
	struct pollfd over = { .fd = pidfd, .events = POLLIN };

	return poll(&over, 1, 0) > 0;
}

void space_follow(struct lazyd *lazyd, struct space *space, pid_t pid, int pidfd)
{
	char path[64];

	space->pidfd = pidfd;
	space->host_pid = pid;
	if (lazyd->has_guard_scan) {
		snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
		space->pagemap_fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (has_ended(pidfd) && space->pagemap_fd >= 0) { /* of whom? */
		close(space->pagemap_fd);
		space->pagemap_fd = -1;
	}
	if (space->slot >= 0)
		journal_identify(lazyd->journal, space->slot, pid, space->pidfd);
	engine_watch(lazyd, space->pidfd, &space->pid_watch, WATCH_PIDFD, space);
}

void space_identify(struct lazyd *lazyd, struct space *space, pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd >= 0)
		space_follow(lazyd, space, pid, pidfd);
}

static bool is_known_pid(void *ctx, pid_t pid)
{
	struct lazyd *lazyd = ctx;
	struct space *space;

	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		if (space->host_pid == pid)
			return true;
	}
	return false;
}

static void wipe_range(void *ctx, uint64_t start, uint64_t end)
{
	struct space *space = ctx;

	owed_remove(&space->owed, start, end);
}

void space_find_pid(struct lazyd *lazyd, struct space *space, pid_t tid_hint)
{
	pid_t pid;

	if (space->host_pid || !space->parent || !space->parent->host_pid)
		return;
	pid = identify_child(space->parent->host_pid, tid_hint, space->born, is_known_pid, lazyd);
	if (!pid)
		return;
	space_identify(lazyd, space, pid);
	log_debug("task %d: forked, pid %d", space->image_pid, pid);
}

static void apply_fork(struct lazyd *lazyd, struct space *parent, int uffd)
{
	struct space *child = space_new(lazyd, uffd);
	int ret = child ? 0 : -ENOMEM;

	lazyd->stats.events[0]++;
	if (child) {
		child->is_forked = true;
		child->parent = parent;
		child->image_pid = parent->image_pid;
		ret = owed_fork(&parent->owed, &child->owed);
		if (!ret)
			ret = race_fork(lazyd, parent, child);
		parent->has_young = true;
	}
	if (ret) {
		/* Held open and out of the journal: the supervisor counts it as owed. */
		log_ret(ret, "task %d: a forked child cannot be followed", parent->image_pid);
		lazyd->error = ret;
		if (child)
			space_kill(lazyd, child, "no memory for what it is owed", 0);
		return;
	}
	fcntl(uffd, F_SETFL, O_NONBLOCK);
	/* The task may have changed its mind about WIPEONFORK since it was dumped (UFFD.md 7). The
	 * parent is asked, not the child: that may have marked areas for its own children by now.
	 */
	if (parent->host_pid)
		identify_wiped(parent->host_pid, wipe_range, child);
	lazyd->stats.forked += owed_count(&child->owed);
	child->is_swept = owed_is_empty(&child->owed); /* and may be ended in a moment */
	durable_enter(lazyd, child);
	engine_watch(lazyd, uffd, &child->watch, WATCH_SPACE, child);
}

static int apply_remap(struct lazyd *lazyd, struct space *space, uint64_t from, uint64_t to,
		       uint64_t len)
{
	int ret = race_remap(lazyd, space, from, to, len);

	lazyd->stats.events[1]++;
	if (!ret)
		ret = owed_remap(&space->owed, from, to, len);
	return ret;
}

static int apply_unmap(struct lazyd *lazyd, struct space *space, uint64_t start, uint64_t end)
{
	int ret = race_unmap(lazyd, space, start, end);

	return ret ? ret : owed_unmap(&space->owed, start, end);
}

static void apply_remove(struct lazyd *lazyd, struct space *space, const struct advice_calls *calls,
			 uint64_t start, uint64_t end)
{
	owed_remove(&space->owed, start, end);
	if (!owed_has_shared(&space->owed, start, end))
		return;
	switch (advice_of(calls, start, end)) {
	case MADV_REMOVE:
		owed_punch(&space->owed, start, end);
		break;
	case -1:
		space_kill(lazyd, space,
			   "it removes a part of a shared segment that is not there yet, and "
			   "cannot be asked how",
			   start);
		break;
	default: /* MADV_DONTNEED: the content stays */
		break;
	}
}

static bool has_change_pending(const struct space *space)
{
	return uffd_covers(space->uffd, LAZY_PAGE, 2 * LAZY_PAGE) == -EAGAIN;
}

/*
 * How many messages to read; while a segment is owed one by one, so that the event that comes was
 * queued, and its caller asleep, before the callers are looked at (advice.h). A fault that comes
 * first is no harm.
 */
static size_t look_at_callers(struct lazyd *lazyd, struct space *space, struct advice_calls *out)
{
	struct pollfd readable = { .fd = space->uffd, .events = POLLIN };

	out->count = 0;
	if (SLIST_EMPTY(&lazyd->segments) || !owed_has_shared(&space->owed, 0, UINT64_MAX))
		return POLL_BATCH;
	if (poll(&readable, 1, 0) <= 0)
		return 0;
	if (!has_change_pending(space))
		return 1;
	if (!space->host_pid)
		space_find_pid(lazyd, space, 0);
	if (space->host_pid)
		advice_scan(space->host_pid, out);
	return 1;
}

static int apply_event(struct lazyd *lazyd, struct space *space, const struct advice_calls *calls,
		       const struct uffd_msg *msg)
{
	struct lazy_stats *stats = &lazyd->stats;

	switch (msg->event) {
	case UFFD_EVENT_FORK:
		apply_fork(lazyd, space, (int)msg->arg.fork.ufd);
		return 0;
	case UFFD_EVENT_REMAP:
		return apply_remap(lazyd, space, msg->arg.remap.from, msg->arg.remap.to,
				   msg->arg.remap.len);
	case UFFD_EVENT_REMOVE:
		stats->events[2]++;
		apply_remove(lazyd, space, calls, msg->arg.remove.start, msg->arg.remove.end);
		return 0;
	case UFFD_EVENT_UNMAP:
		stats->events[3]++;
		return apply_unmap(lazyd, space, msg->arg.remove.start, msg->arg.remove.end);
	default:
		log_warn("task %d: event 0x%x of userfaultfd is unknown", space->image_pid,
			 msg->event);
		return 0;
	}
}

void space_apply(struct lazyd *lazyd, struct space *space, uint32_t number)
{
	const struct journal_inbox *inbox = &lazyd->journal->inbox;
	const struct uffd_msg *msg = &inbox->msgs[number];
	int ret = apply_event(lazyd, space, &inbox->calls, msg);

	lazyd->nr_applied = number + 1;
	if (!ret && (space->owed.is_dirty || msg->event == UFFD_EVENT_FORK))
		ret = durable_commit(lazyd);
	if (ret)
		space_kill(lazyd, space, "no memory for what it is owed", 0);
}

/* Nothing in the inbox is needed any more; the messages are zero, so that the next ones count. */
static void begin_batch(struct lazyd *lazyd, const struct space *space)
{
	struct journal_inbox *inbox = &lazyd->journal->inbox;

	inbox->slot = space->slot;
	inbox->uffd = space->uffd;
	lazyd->nr_applied = 0;
	atomic_fetch_add(&inbox->batch, 1);
}

static void end_batch(struct lazyd *lazyd, size_t count)
{
	memset(lazyd->journal->inbox.msgs, 0, count * sizeof(struct uffd_msg));
	atomic_signal_fence(memory_order_seq_cst);
}

/* The event stays queued and the forking thread waits (UFFD.md 14). */
static void wait_for_descriptors(struct lazyd *lazyd, const struct space *space)
{
	if (!lazyd->is_short_of_fds)
		log_warn("task %d: its fork waits for a free descriptor", space->image_pid);
	lazyd->is_short_of_fds = true;
	usleep(SHORT_OF_FDS_US);
}

/* All that is readable; events are applied, faults collected. How many faults. */
static size_t read_messages(struct lazyd *lazyd, struct space *space, struct fault *faults)
{
	struct journal_inbox *inbox = &lazyd->journal->inbox;
	size_t count = 0;

	while (count + POLL_BATCH <= FAULTS_MAX) {
		size_t nr;
		ssize_t len;

		if (space->nr_recent && !has_change_pending(space))
			race_calm(lazyd, space); /* less to be asked of the next child */
		nr = look_at_callers(lazyd, space, &inbox->calls);
		if (!nr)
			break;
		begin_batch(lazyd, space);
		len = read(space->uffd, inbox->msgs, nr * sizeof(inbox->msgs[0]));
		nr = len > 0 ? (size_t)len / sizeof(inbox->msgs[0]) : 0;
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && (errno == EMFILE || errno == ENFILE))
			wait_for_descriptors(lazyd, space);
		if (!nr)
			break;
		for (size_t i = 0; i < nr; i++) {
			const struct uffd_msg *msg = &inbox->msgs[i];

			if (msg->event == UFFD_EVENT_PAGEFAULT)
				faults[count++] = (struct fault){
					.addr = msg->arg.pagefault.address,
					.tid = msg->arg.pagefault.feat.ptid,
				};
			else
				space_apply(lazyd, space, (uint32_t)i);
			space->is_due = true;
		}
		end_batch(lazyd, nr); /* until EAGAIN: the last read may have left events */
	}
	return count;
}

void space_read(struct lazyd *lazyd, struct space *space)
{
	struct fault faults[FAULTS_MAX];
	size_t count;
	uint64_t now;

	fill_reap(lazyd, space);
	count = read_messages(lazyd, space, faults);
	if (!count)
		return;
	now = clock_ns();
	if (space->is_forked && !space->host_pid)
		space_find_pid(lazyd, space, (pid_t)faults[0].tid);
	lazyd->last_fault = now;
	stats_faults(lazyd, space, count);
	for (size_t i = 0; i < count && !space->is_gone; i++)
		fill_fault(lazyd, space, faults[i].addr, now);
}

void space_finish_area(struct space *space, struct owed_area *area)
{
	/* A mapping of a segment can grow into a part that is owed. */
	if (!area->bits || area->kind == LAZY_RANGE_SHMEM)
		return;
	owed_bits_put(area->bits);
	area->bits = NULL;
	space->owed.is_dirty = true;
}

static void poison_area(struct space *space, const struct owed_area *area)
{
	uint64_t at = area->start, done;

	while (at < area->end) {
		int ret = uffd_poison(space->uffd, at, area->end - at, &done);

		at += done;
		if (!ret || done)
			continue;
		if (ret == -ESRCH)
			return;
		at += area->page_size; /* there already, or not registered any more */
	}
	uffd_wake(space->uffd, area->start, area->end);
}

void space_kill(struct lazyd *lazyd, struct space *space, const char *reason, uint64_t addr)
{
	struct owed_area *area;

	if (space->is_killed)
		return;
	space->is_killed = true;
	durable_doom(lazyd, space);
	log_err("task %d (pid %d): killed: %s (0x%" PRIx64 ")", space->image_pid, space->host_pid,
		reason, addr);
	lazyd->error = lazyd->error ? lazyd->error : -EIO;
	if (space->pidfd >= 0 && !syscall(SYS_pidfd_send_signal, space->pidfd, SIGKILL, NULL, 0))
		return; /* the descriptor is held until the pidfd says that it is gone */
	owed_for_each(area, &space->owed)
	{
		if (area->bits)
			poison_area(space, area);
	}
}

static void orphan_children(struct lazyd *lazyd, const struct space *parent)
{
	struct space *child;

	TAILQ_FOREACH (child, &lazyd->spaces, link) {
		if (child->parent != parent)
			continue;
		child->parent = NULL;
		durable_orphan(lazyd, child);
	}
}

/*
 * Closing is what unregisters, all at once: were it done area by area, a thread that moves or grows
 * one meanwhile, of which we hear late or never, would find it in two, and mremap(2) fails across
 * two. Events that are still queued are dropped by the kernel, and their callers go on (Linux 4.14,
 * userfaultfd_release()); nothing is owed that they could change.
 */
static void disarm(struct space *space)
{
	close(space->uffd);
	space->uffd = -1;
}

void space_end(struct lazyd *lazyd, struct space *space)
{
	fill_reap(lazyd, space);
	if (space->slot >= 0)
		journal_set_done(lazyd->journal, space->slot);
	orphan_children(lazyd, space);
	lazyd->stats.dropped += space->owed.dropped + owed_count(&space->owed);
	disarm(space);
	if (!space->is_gone)
		collapse_note(lazyd, space);
	durable_leave(lazyd, space);
	if (space->pidfd >= 0)
		close(space->pidfd);
	if (space->pagemap_fd >= 0)
		close(space->pagemap_fd);
	stats_space_ended(lazyd, space);
	owed_fini(&space->owed);
	free(space->parked);
	free(space->recent);
	TAILQ_REMOVE(&lazyd->spaces, space, link);
	log_debug("task %d (pid %d): %s", space->image_pid, space->host_pid,
		  space->is_gone ? "ended" : "complete");
	free(space);
}
