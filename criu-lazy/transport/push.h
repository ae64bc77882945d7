/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dump --page-server: pagemaps and pages go to a page server elsewhere (CRIU's or ours) instead of
 * into files. Of each object first the pagemap is made, of several at once if need be, then it is
 * begun, and its pages follow as a stream.
 * Dumper; errors are logged.
 */
#ifndef TRANSPORT_PUSH_H
#define TRANSPORT_PUSH_H

#include <stddef.h>
#include <stdint.h>

struct options;
struct page_push;
struct push_list;

/* Connects (--address, --port or --ps-socket, --tls). */
int push_connect(const struct options *opts, struct page_push **out);
/* The pagemap of an object, wire_object(), while it is made. NULL: no memory. */
struct push_list *push_list_new(uint64_t object);
void push_list_free(struct push_list *list);
/* An entry of it, in order; flags of enum pagemap_flag. */
int push_entry(struct push_list *list, uint64_t start, uint64_t end, uint32_t flags);
/* Begins the object; takes the list over. */
int push_begin(struct page_push *push, struct push_list *list);
/* The bytes of all entries with PE_PRESENT, in order, in pieces as large as you like. */
int push_bytes(void *push, const void *data, size_t len);
/* All was sent: the server says whether it has everything. */
int push_finish(struct page_push *push);
void push_free(struct page_push *push);

#endif
