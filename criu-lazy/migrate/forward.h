/* SPDX-License-Identifier: GPL-2.0 */
/* The options that concern the destination: what was said here is said there. */
#ifndef MIGRATE_FORWARD_H
#define MIGRATE_FORWARD_H

#include <stddef.h>
#include <stdint.h>

struct link;
struct options;

/*
 * Sends them, those of --remote-option last; host and port are where the destination finds its
 * source. 0, or a negative errno; logged if an option is at fault.
 */
int forward_options(struct link *link, const struct options *opts, const char *host, uint16_t port);
/* The other end: applies one that came, NUL-terminated behind len. Logged. */
int forward_apply(struct options *opts, const char *bytes, size_t len);

#endif
