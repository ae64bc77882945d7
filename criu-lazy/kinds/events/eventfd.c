// SPDX-License-Identifier: GPL-2.0
/* eventfd(2): a counter, and whether reads take one at a time (EFD_SEMAPHORE). */
#include <string.h>
#include <sys/eventfd.h>

#include "kinds/events/fdinfo.h"
#include "kinds/families.h"
#include "kinds/fown.h"
#include "kinds/kind.h"
#include "kinds/own_fd.h"
#include "util/log.h"
#include "util/scope.h"

static bool eventfd_detect(const struct fd_probe *probe)
{
	return !strcmp(probe->link, "anon_inode:[eventfd]");
}

static int eventfd_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	struct eventfd_fdinfo info;
	EventfdFileEntry *efd;
	int ret = fdinfo_parse_eventfd(probe->fdinfo, &info);

	if (ret)
		return log_ret(ret, "task %d: fd %d: eventfd without a counter in fdinfo",
			       probe->task->pid, probe->number);
	efd = message_new(EventfdFileEntry, eventfd_file_entry);
	if (!efd)
		return -ENOMEM;
	entry->efd = efd;
	efd->id = entry->id;
	efd->flags = probe->flags;
	efd->counter = info.counter;
	efd->has_semaphore = info.semaphore;
	efd->semaphore = info.semaphore;
	return fown_dump(dump, probe, &efd->fown);
}

static int eventfd_open(struct restore *restore, struct file_object *object, int *fd)
{
	const EventfdFileEntry *efd = object->entry->efd;
	scoped_fd int event =
		eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | (efd->semaphore ? EFD_SEMAPHORE : 0));

	if (event < 0)
		return log_errno("eventfd %#x: create", object->id);
	/* initval of eventfd(2) has 32 bits only. */
	if (efd->counter && write(event, &efd->counter, sizeof(efd->counter)) < 0)
		return log_errno("eventfd %#x: set the counter to %lu", object->id, efd->counter);
	if (own_fd_set_flags(event, efd->flags))
		return log_errno("eventfd %#x: set flags %#x", object->id, efd->flags);
	*fd = take_fd(&event);
	return 0;
}

static const FownEntry *eventfd_fown(const struct file_object *object)
{
	return object->entry->efd->fown;
}

const struct kind_ops eventfd_kind = {
	.name = "eventfd",
	.type = FD_TYPES__EVENTFD,
	.detect = eventfd_detect,
	.dump = eventfd_dump,
	.fown = eventfd_fown,
	.open = eventfd_open,
};
