/* SPDX-License-Identifier: GPL-2.0 */
/* The kinds that there are, one line each; their order is in registry.c. */
#ifndef KINDS_FAMILIES_H
#define KINDS_FAMILIES_H

#include "kinds/kind.h"

/* files/ */
extern const struct kind_ops regular_kind;

/* pipes/ */
extern const struct kind_ops pipe_kind;
extern const struct kind_ops fifo_kind;

/* events/ */
extern const struct kind_ops eventfd_kind;
extern const struct kind_ops epoll_kind;
extern const struct kind_ops timerfd_kind;
extern const struct kind_ops signalfd_kind;
extern const struct kind_ops inotify_kind;
extern const struct kind_ops pidfd_kind;

/* memory/ */
extern const struct kind_ops memfd_kind;

/* ns/ */
extern const struct kind_ops ns_file_kind;

/* sockets/ */
extern const struct kind_ops unix_kind;
extern const struct kind_ops inet_kind;
extern const struct kind_ops netlink_kind;
extern const struct kind_ops packet_kind;

/* ttys/ */
extern const struct kind_ops tty_kind;

#endif
