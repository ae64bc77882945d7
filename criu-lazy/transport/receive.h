/* SPDX-License-Identifier: GPL-2.0 */
/*
 * page-server without --lazy-pages: takes the pages of one dump (CRIU's, or ours with
 * --page-server) and writes pagemaps and pages files.
 */
#ifndef TRANSPORT_RECEIVE_H
#define TRANSPORT_RECEIVE_H

#include <signal.h>

#include "image/image.h"

struct channel;

/* Until the sender closes. 0, or what went wrong (logged): the set is then not complete. -EINTR:
 * *stopped was set by a signal. */
int receive_serve(struct image_dir *images, struct channel *channel,
		  const volatile sig_atomic_t *stopped);

#endif
