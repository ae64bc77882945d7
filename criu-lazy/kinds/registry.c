// SPDX-License-Identifier: GPL-2.0
/*
 * The ordered table of kinds. A new kind is one declaration in kinds/families.h and one row here.
 * detect is asked from the top: kinds told by name or by the kind of inode first, plain files last.
 */
#include "kinds/families.h"
#include "kinds/kind.h"

/* A row each. */
/* clang-format off */
static const struct kind_ops *const kinds[] = {
	&eventfd_kind,
	&epoll_kind,
	&timerfd_kind,
	&signalfd_kind,
	&inotify_kind,
	&pidfd_kind,
	&memfd_kind,
	&ns_file_kind,
	&unix_kind,
	&inet_kind,
	&netlink_kind,
	&packet_kind,
	&tty_kind,
	&pipe_kind,
	&fifo_kind,
	&regular_kind,
	NULL,
};
/* clang-format on */

const struct kind_ops *kind_by_type(FdTypes type)
{
	for (size_t i = 0; kinds[i]; i++) {
		if (kinds[i]->type == type)
			return kinds[i];
	}
	return NULL;
}

const struct kind_ops *kind_detect(const struct fd_probe *probe)
{
	for (size_t i = 0; kinds[i]; i++) {
		if (kinds[i]->detect && kinds[i]->detect(probe))
			return kinds[i];
	}
	return NULL;
}

const struct kind_ops *kind_at(size_t index)
{
	return index < sizeof(kinds) / sizeof(kinds[0]) ? kinds[index] : NULL;
}
