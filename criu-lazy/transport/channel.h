/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A connected stream of bytes: a plain socket, or TLS over one. One thread at a time may read, and
 * at the same time another one may write; channel_shutdown() and the counters are for any thread.
 *
 * Errors are not logged: a peer that goes away is an ordinary result.
 *   -EPIPE      the peer closed, or channel_shutdown() was called
 *   -ETIMEDOUT  not one byte moved for timeout_ms
 *   others      from the kernel (-ECONNRESET, ...), -EPROTO from TLS
 */
#ifndef TRANSPORT_CHANNEL_H
#define TRANSPORT_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct channel;
struct tls_context; /* transport/tls.h */

/* Takes over a connected stream socket, also on failure (-ENOMEM); it becomes non-blocking,
 * and does not wait to fill packets (TCP_NODELAY). */
int channel_new(int fd, struct channel **out);
/*
 * Talks TLS from now on. is_server: we accepted the connection. host: whose certificate is
 * expected (client; NULL: not compared). tls is borrowed until channel_free(). Logged, since the
 * reason (whose certificate, why) is only known here.
 */
int channel_start_tls(struct channel *channel, const struct tls_context *tls, bool is_server,
		      const char *host, int timeout_ms);
/* Closes (a TLS peer is told) and frees. NULL is fine. */
void channel_free(struct channel *channel);

/* Exactly len bytes. timeout_ms: how long to wait without progress; -1: for ever. */
int channel_read(struct channel *channel, void *buf, size_t len, int timeout_ms);
/* What is there, at most len bytes, waiting only for the first of them. > 0, or a negative errno.
 */
ssize_t channel_read_some(struct channel *channel, void *buf, size_t len, int timeout_ms);
/* All of the parts (which are used up), in as few packets as possible. */
int channel_write(struct channel *channel, struct iovec *parts, size_t count, int timeout_ms);
int channel_write_bytes(struct channel *channel, const void *data, size_t len, int timeout_ms);

/* Waits until reading makes progress at once: 0; -ETIMEDOUT; or -ECANCELED if cancel_fd (-1: none)
 * became readable. */
int channel_wait(struct channel *channel, int cancel_fd, int timeout_ms);
/* For poll and epoll, POLLIN. Only if !channel_has_pending(): TLS may hold decrypted bytes. */
int channel_fd(const struct channel *channel);
bool channel_has_pending(const struct channel *channel);

/* Any thread: reads and writes under way and to come fail with -EPIPE. */
void channel_shutdown(struct channel *channel);

/* "10.0.0.2:4711", for messages. */
const char *channel_peer(const struct channel *channel);
/* The peer is on this host: loopback address, or a unix socket. */
bool channel_is_local(const struct channel *channel);
bool channel_is_tls(const struct channel *channel);
uint64_t channel_bytes_in(const struct channel *channel);
uint64_t channel_bytes_out(const struct channel *channel);

/*
 * Socket options for the two channels of the own protocol. Bulk: no more than
 * about `queue` bytes unsent in the kernel (TCP_NOTSENT_LOWAT), so that nothing waits behind
 * megabytes. Both: a dead link is noticed after dead_ms (TCP_USER_TIMEOUT, keepalive).
 */
void channel_tune_demand(struct channel *channel, unsigned int dead_ms);
/*
 * Bulk, its writer: leaves at `rate` bytes per second at most (0: no limit), spread over time by
 * the kernel, in packets of at most `packet` bytes (0: any; TLS: not heeded).
 */
void channel_pace(struct channel *channel, uint64_t rate, uint32_t packet);
/* The writer had to wait for room since this was asked last. */
bool channel_has_waited(struct channel *channel);
/* What the kernel knows of the way there (TCP_INFO). False: nothing, it is no TCP. */
bool channel_way(const struct channel *channel, uint64_t *acked, uint32_t *rtt_us,
		 uint32_t *min_rtt_us);
void channel_tune_bulk(struct channel *channel, unsigned int queue, unsigned int dead_ms);

#endif
