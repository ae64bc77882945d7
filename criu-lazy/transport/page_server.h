/* SPDX-License-Identifier: GPL-2.0 */
/* The command page-server. */
#ifndef TRANSPORT_PAGE_SERVER_H
#define TRANSPORT_PAGE_SERVER_H

struct options;

/*
 * With --lazy-pages: serves the pages of the images until all clients that began are
 * done, or with --keep-serving until it is stopped. Without: receives those of
 * one dump. 0 or a negative errno, logged.
 */
int page_server_run(const struct options *opts);

#endif
