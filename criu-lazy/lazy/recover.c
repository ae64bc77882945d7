// SPDX-License-Identifier: GPL-2.0
/*
 * In order: versions that were not committed are no more; spaces are built from those that were;
 * the heap learns what is in use; messages that were read and not applied are applied. Only then
 * may anything be copied: a page that a message drops is owed until it is applied.
 *
 * Faults that the dead daemon had read are not sent again (UFFD.md 2), so all waiting threads are
 * woken at the end. Copies of its threads cannot be under way any more: its pidfd told of its death
 * when the last of its threads had ended.
 */
#include "lazy/recover.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include "lazy/adopt.h"
#include "lazy/arm.h"
#include "lazy/engine.h"
#include "lazy/rebuild.h"
#include "lazy/uffd.h"
#include "util/clock.h"
#include "util/log.h"

#define LOWEST_ADDRESS (1ull << 16)

/* Read by the dead daemon, and not in what it committed. */
static void apply_rest(struct lazyd *lazyd)
{
	struct journal_inbox *inbox = &lazyd->journal->inbox;
	struct space *space = rebuild_find(lazyd, inbox->slot);

	lazyd->nr_applied = journal_applied(lazyd->journal);
	for (uint32_t i = lazyd->nr_applied; i < JOURNAL_MSGS && inbox->msgs[i].event; i++) {
		if (inbox->msgs[i].event != UFFD_EVENT_PAGEFAULT)
			log_debug("message 0x%x of slot %d is applied again", inbox->msgs[i].event,
				  inbox->slot);
		if (space && inbox->msgs[i].event != UFFD_EVENT_PAGEFAULT)
			space_apply(lazyd, space, i);
	}
	memset(inbox->msgs, 0, sizeof(inbox->msgs));
}

/* The task's own size is not known here: the kernel refuses what is beyond. */
static void wake_all(const struct space *space)
{
	static const uint64_t ends[] = { (1ull << 56) - 4096, (1ull << 47) - 4096, 0xffffe000 };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (!uffd_wake(space->uffd, LOWEST_ADDRESS, ends[i]))
			return;
	}
	log_warn("task %d: waiting threads cannot be woken", space->image_pid);
}

static int take_up(struct lazyd *lazyd, struct space *space)
{
	struct journal_slot *slot = &lazyd->journal->slots[space->slot];
	struct pollfd over = { .fd = atomic_load(&slot->pidfd), .events = POLLIN };

	fcntl(space->uffd, F_SETFL, O_NONBLOCK);
	if (over.fd >= 0)
		space_follow(lazyd, space, atomic_load(&slot->pid), over.fd);
	if (atomic_load(&slot->is_doomed))
		space_kill(lazyd, space, "the daemon died while it ended this task", 0);
	return engine_watch(lazyd, space->uffd, &space->watch, WATCH_SPACE, space);
}

int recover(struct lazyd *lazyd)
{
	static const struct rebuild_calls calls = { arm_source, adopt_is_uffd, adopt_half_armed };
	struct space *space;
	int count = 0;
	int ret = rebuild(lazyd, &calls);

	if (ret)
		return log_ret(ret, "what the dead daemon owed cannot be taken over");
	TAILQ_FOREACH (space, &lazyd->spaces, link) {
		if (!ret)
			ret = take_up(lazyd, space);
		count++;
	}
	if (ret)
		return ret;
	apply_rest(lazyd);
	TAILQ_FOREACH (space, &lazyd->spaces, link)
		wake_all(space);
	adopt_finish(lazyd);
	log_warn("this daemon has taken over from one that died: %d address spaces, %" PRIu64 " us",
		 count, (clock_ns() - lazyd->journal->lost_at) / 1000);
	if (lazyd->opts->record_working_set)
		log_warn("the working set will lack what was touched before");
	return 0;
}
