/* SPDX-License-Identifier: GPL-2.0 */
/* Sockets of the page server: where to listen, where to connect. Errors are logged. */
#ifndef TRANSPORT_NET_H
#define TRANSPORT_NET_H

#include <stdint.h>

/*
 * Listens on host (name or address; NULL: loopback only) and port. 0 lets the kernel choose one,
 * which net_port() tells. The descriptor, close-on-exec, or a negative errno.
 */
int net_listen(const char *host, uint16_t port);
/* The port that a listening socket has, or 0. */
uint16_t net_port(int fd);
/* Connects within timeout_ms. host NULL: loopback. The descriptor or a negative errno. */
int net_connect(const char *host, uint16_t port, int timeout_ms);

#endif
