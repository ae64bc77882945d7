// SPDX-License-Identifier: GPL-2.0
/*
 * timerfd_create(2): clock, time left, interval and expirations nobody read.
 *
 * The image holds the time left, also for TFD_TIMER_ABSTIME: a task's clocks
 * stand still between dump and restore. Only an absolute timer on the wall
 * clock keeps its date (wall_sec, wall_nsec, an extension).
 */
#include <linux/ioctl.h>
#include <linux/types.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

#include "kinds/events/fdinfo.h"
#include "kinds/families.h"
#include "kinds/fown.h"
#include "kinds/kind.h"
#include "kinds/own_fd.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, __u64) /* linux/timerfd.h clashes with sys/timerfd.h */
#endif

enum { KNOWN_SETTIME_FLAGS = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET };

static bool timerfd_detect(const struct fd_probe *probe)
{
	return !strcmp(probe->link, "anon_inode:[timerfd]");
}

static bool is_wall_clock(uint32_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
}

/*
 * An expired periodic timer is not armed again before it is read or asked:
 * timerfd_gettime(2) counts the periods that passed meanwhile and arms it, which
 * readers cannot tell from having done it themselves. So it comes first.
 */
static int read_state(const struct fd_probe *probe, struct timerfd_fdinfo *info)
{
	struct itimerspec now;
	scoped_text struct text text = { 0 };
	int ret;

	if (timerfd_gettime(probe->fd, &now))
		return -errno;
	ret = own_fdinfo(probe->fd, &text);
	return ret ? ret : fdinfo_parse_timerfd(text.data, info);
}

static void dump_wall_date(const struct timerfd_fdinfo *info, TimerfdEntry *tfd)
{
	struct timespec now;

	if (!is_wall_clock(info->clock) || !(info->settime_flags & TFD_TIMER_ABSTIME))
		return;
	if (!info->spec.it_value.tv_sec && !info->spec.it_value.tv_nsec)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	tfd->has_wall_sec = tfd->has_wall_nsec = true;
	tfd->wall_sec = now.tv_sec + info->spec.it_value.tv_sec;
	tfd->wall_nsec = now.tv_nsec + info->spec.it_value.tv_nsec;
	if (tfd->wall_nsec >= 1000000000) {
		tfd->wall_nsec -= 1000000000;
		tfd->wall_sec++;
	}
}

static int timerfd_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	struct timerfd_fdinfo info;
	TimerfdEntry *tfd;
	int ret = read_state(probe, &info);

	if (ret)
		return log_ret(ret, "task %d: fd %d: read the timerfd's state", probe->task->pid,
			       probe->number);
	tfd = message_new(TimerfdEntry, timerfd_entry);
	if (!tfd)
		return -ENOMEM;
	entry->tfd = tfd;
	tfd->id = entry->id;
	tfd->flags = probe->flags;
	tfd->clockid = info.clock;
	tfd->ticks = info.ticks;
	tfd->settime_flags = info.settime_flags;
	tfd->vsec = info.spec.it_value.tv_sec;
	tfd->vnsec = info.spec.it_value.tv_nsec;
	tfd->isec = info.spec.it_interval.tv_sec;
	tfd->insec = info.spec.it_interval.tv_nsec;
	dump_wall_date(&info, tfd);
	return fown_dump(dump, probe, &tfd->fown);
}

static int timerfd_collect(struct restore *restore, struct file_object *object)
{
	const TimerfdEntry *tfd = object->entry->tfd;

	if (tfd->vnsec >= 1000000000 || tfd->insec >= 1000000000 || tfd->wall_nsec >= 1000000000 ||
	    tfd->vsec > INT64_MAX || tfd->isec > INT64_MAX || tfd->wall_sec > INT64_MAX ||
	    (tfd->settime_flags & ~KNOWN_SETTIME_FLAGS))
		return log_ret(-EBADMSG, "timerfd %#x: absurd time or flags", object->id);
	return 0;
}

static void make_absolute(const TimerfdEntry *tfd, struct timespec *value)
{
	struct timespec now;

	if (tfd->has_wall_sec) {
		value->tv_sec = tfd->wall_sec;
		value->tv_nsec = tfd->wall_nsec;
		return;
	}
	clock_gettime(tfd->clockid, &now);
	value->tv_sec += now.tv_sec;
	value->tv_nsec += now.tv_nsec;
	if (value->tv_nsec >= 1000000000) {
		value->tv_nsec -= 1000000000;
		value->tv_sec++;
	}
}

/* Late, so that little of the time left is spent on the rest of the restore. */
static int timerfd_arm(struct restore *restore, struct file_object *object, const struct task *task,
		       int fd, bool first)
{
	const TimerfdEntry *tfd = object->entry->tfd;
	uint64_t ticks = tfd->ticks;
	struct itimerspec spec = {
		.it_value = { .tv_sec = tfd->vsec, .tv_nsec = tfd->vnsec },
		.it_interval = { .tv_sec = tfd->isec, .tv_nsec = tfd->insec },
	};
	bool is_periodic = tfd->isec || tfd->insec;

	if (!first)
		return 0;
	/* Images of an expired periodic timer that nobody asked have no time left. */
	if (is_periodic && ticks && !tfd->vsec && !tfd->vnsec)
		spec.it_value = spec.it_interval;
	if ((tfd->settime_flags & TFD_TIMER_ABSTIME) &&
	    (spec.it_value.tv_sec || spec.it_value.tv_nsec))
		make_absolute(tfd, &spec.it_value);
	if (timerfd_settime(fd, tfd->settime_flags, &spec, NULL))
		return log_errno("task %d: timerfd %#x: arm", task->pid, object->id);
	if (ticks && ioctl(fd, TFD_IOC_SET_TICKS, &ticks))
		return log_errno("task %d: timerfd %#x: set %lu unread ticks (needs a kernel with "
				 "CONFIG_CHECKPOINT_RESTORE)",
				 task->pid, object->id, ticks);
	return 0;
}

static int timerfd_open(struct restore *restore, struct file_object *object, int *fd)
{
	const TimerfdEntry *tfd = object->entry->tfd;

	scoped_fd int timer = timerfd_create(tfd->clockid, TFD_CLOEXEC);

	if (timer < 0)
		return log_errno("timerfd %#x: create on clock %u", object->id, tfd->clockid);
	if (own_fd_set_flags(timer, tfd->flags))
		return log_errno("timerfd %#x: set flags %#x", object->id, tfd->flags);
	/* In flight in a socket's queue: no task will do it. */
	if (!file_object_is_held(object)) {
		int ret = timerfd_arm(restore, object, restore->tree.root, timer, true);

		if (ret)
			return ret;
	}
	*fd = take_fd(&timer);
	return 0;
}

static const FownEntry *timerfd_fown(const struct file_object *object)
{
	return object->entry->tfd->fown;
}

const struct kind_ops timerfd_kind = {
	.name = "timerfd",
	.type = FD_TYPES__TIMERFD,
	.detect = timerfd_detect,
	.dump = timerfd_dump,
	.collect = timerfd_collect,
	.fown = timerfd_fown,
	.open = timerfd_open,
	.post_open = timerfd_arm,
};
