/* SPDX-License-Identifier: GPL-2.0 */
/* Options that every socket has (socket(7)), as sk_opts_entry keeps them. */
#ifndef KINDS_SOCKETS_SK_OPTS_H
#define KINDS_SOCKETS_SK_OPTS_H

#include "kinds/kind.h"
#include "sk-opts.pb-c.h"

/* Dumper. A new message (malloc) with the options of probe->fd. */
int sk_opts_dump(const struct fd_probe *probe, SkOptsEntry **out);
/* What must be set before bind and connect: address reuse, device, mark. `what` names the socket in
 * messages. */
int sk_opts_restore_early(int fd, const char *what, uint32_t id, const SkOptsEntry *opts);
/* All the rest; when queued data is in place, for filters would eat it. */
int sk_opts_restore(int fd, const char *what, uint32_t id, const SkOptsEntry *opts);

/* getsockopt of an int: its value, or `fallback` where the socket has no such option. */
int sk_get_int(int fd, int level, int option, int fallback);
/* SHUT_* of the image's enum; -1: none. */
int sk_shutdown_how(SkShutdown shutdown);

/* Dumper. The net namespace's id in the images, if the dump has one. */
bool sk_net_ns_id(const struct dump *dump, uint32_t *id);

#endif
