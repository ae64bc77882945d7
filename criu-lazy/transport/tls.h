/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TLS with certificates on both sides: who has none that the CA signed is refused. Options and
 * default files as criu's.
 */
#ifndef TRANSPORT_TLS_H
#define TRANSPORT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct options;
struct tls_context; /* certificates; read-only after tls_context_new(), any thread */
struct tls_session;

/* From --tls, --tls-cacert, ...; logged. *out is NULL without --tls. */
int tls_context_new(const struct options *opts, struct tls_context **out);
void tls_context_free(struct tls_context *tls);

/* ---- for channel.c only ---------------------------------------------------- */

/* Handshake over a non-blocking socket; verifies the peer. Logged. */
int tls_session_new(const struct tls_context *tls, int fd, bool is_server, const char *host,
		    int timeout_ms, struct tls_session **out);
void tls_session_free(struct tls_session *session);
/* > 0 bytes, 0 at the end, -EAGAIN, or a negative errno. */
ssize_t tls_session_read(struct tls_session *session, void *buf, size_t len);
ssize_t tls_session_write(struct tls_session *session, const void *buf, size_t len);
bool tls_session_has_pending(const struct tls_session *session);

#endif
