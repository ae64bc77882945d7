/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the files of the inet socket kind: TCP, UDP, UDP-Lite and raw over IPv4 and IPv6. */
#ifndef KINDS_SOCKETS_INET_H
#define KINDS_SOCKETS_INET_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "kinds/kind.h"

enum { INET_STATE_ESTABLISHED = 1, INET_STATE_CLOSE = 7, INET_STATE_LISTEN = 10 }; /* TCP_* */

/* Raw sockets may name the protocol, too. */
static inline bool inet_is_tcp(const InetSkEntry *isk)
{
	return isk->type == SOCK_STREAM && isk->proto == IPPROTO_TCP;
}
/* IPv6 sockets have options of their own; raw ones take no others. */
int inet_get_freebind(int fd, int family);
int inet_set_freebind(int fd, int family, int value);

int inet_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry);

/* IP and TCP options, in inet_opts.c. Dump fills isk->ip_opts, tcp_opts and v6only. */
int inet_opts_dump(const struct fd_probe *probe, InetSkEntry *isk);
/* Before bind: v6only, freebind. */
int inet_opts_restore_early(int fd, const struct file_object *object);
int inet_opts_restore(int fd, const struct file_object *object);

#endif
