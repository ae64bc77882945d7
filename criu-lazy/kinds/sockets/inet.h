/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the files of the inet socket kind: TCP, UDP, UDP-Lite and raw over IPv4 and IPv6. */
#ifndef KINDS_SOCKETS_INET_H
#define KINDS_SOCKETS_INET_H

#include "kinds/kind.h"

enum { INET_STATE_ESTABLISHED = 1, INET_STATE_CLOSE = 7, INET_STATE_LISTEN = 10 }; /* TCP_* */

int inet_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry);

/* IP and TCP options, in inet_opts.c. Dump fills isk->ip_opts, tcp_opts and v6only. */
int inet_opts_dump(const struct fd_probe *probe, InetSkEntry *isk);
/* Before bind: v6only, freebind. */
int inet_opts_restore_early(int fd, const struct file_object *object);
int inet_opts_restore(int fd, const struct file_object *object);

#endif
