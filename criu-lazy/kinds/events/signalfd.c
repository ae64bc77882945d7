// SPDX-License-Identifier: GPL-2.0
/* signalfd(2): a mask. Reads look at the reader's own queues, so there is no other state. */
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include "kinds/events/fdinfo.h"
#include "kinds/families.h"
#include "kinds/fown.h"
#include "kinds/kind.h"
#include "kinds/own_fd.h"
#include "util/log.h"
#include "util/scope.h"

static bool signalfd_detect(const struct fd_probe *probe)
{
	return !strcmp(probe->link, "anon_inode:[signalfd]");
}

static int signalfd_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	SignalfdEntry *sgfd;
	uint64_t mask;
	int ret = fdinfo_parse_signalfd(probe->fdinfo, &mask);

	if (ret)
		return log_ret(ret, "task %d: fd %d: signalfd without a mask in fdinfo",
			       probe->task->pid, probe->number);
	sgfd = message_new(SignalfdEntry, signalfd_entry);
	if (!sgfd)
		return -ENOMEM;
	entry->sgfd = sgfd;
	sgfd->id = entry->id;
	sgfd->flags = probe->flags;
	sgfd->sigmask = mask;
	return fown_dump(dump, probe, &sgfd->fown);
}

static int signalfd_open(struct restore *restore, struct file_object *object, int *fd)
{
	const SignalfdEntry *sgfd = object->entry->sgfd;
	uint64_t mask = sgfd->sigmask;

	/* Not the libc wrapper: its sigset_t cannot be filled with the signals libc keeps for
	 * itself. */
	scoped_fd int sig = syscall(SYS_signalfd4, -1, &mask, sizeof(mask), SFD_CLOEXEC);

	if (sig < 0)
		return log_errno("signalfd %#x: create", object->id);
	if (own_fd_set_flags(sig, sgfd->flags))
		return log_errno("signalfd %#x: set flags %#x", object->id, sgfd->flags);
	*fd = take_fd(&sig);
	return 0;
}

static const FownEntry *signalfd_fown(const struct file_object *object)
{
	return object->entry->sgfd->fown;
}

const struct kind_ops signalfd_kind = {
	.name = "signalfd",
	.type = FD_TYPES__SIGNALFD,
	.detect = signalfd_detect,
	.dump = signalfd_dump,
	.fown = signalfd_fown,
	.open = signalfd_open,
};
