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
/* IP_FREEBIND of a socket of either family: IPv6 ones have an option of their own; raw ones take no
 * other. The value, or 0 where it cannot be read; the result of setsockopt(2). */
int inet_get_freebind(int fd, int family);
int inet_set_freebind(int fd, int family, int value);

/* kind_ops.dump, as kinds/kind.h has it. */
int inet_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry);

/* inet_diag.c, in the network namespace of the caller. Which directions a datagram socket has shut:
 * bit 0 receive, bit 1 send; 0 if the kernel does not say. */
uint8_t inet_diag_shutdown(const InetSkEntry *isk);
/*
 * Does the TCP socket, in state CLOSE, have the port that it tells? From
 * Linux 6.8 on the kernel tells; before, a port that nobody has is not its own, and one that
 * somebody has is taken for its own.
 */
bool inet_diag_is_bound(const InetSkEntry *isk);
/* An entry's address as bind(2) and connect(2) take it, and its length. */
union inet_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};
socklen_t inet_make_address(const InetSkEntry *isk, const uint32_t *words, uint32_t port,
			    union inet_address *out);

/* IP and TCP options, in inet_opts.c. Dump fills isk->ip_opts, tcp_opts and v6only. */
int inet_opts_dump(const struct fd_probe *probe, InetSkEntry *isk);
/* Before bind: v6only, freebind. */
int inet_opts_restore_early(int fd, const struct file_object *object);
int inet_opts_restore(int fd, const struct file_object *object);

#endif
