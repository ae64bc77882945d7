/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a page server's pages come from: stopped tasks, read with process_vm_readv(2) when somebody
 * wants them, or image files. Filled by one thread before anything is served, not changed
 * afterwards; then any thread may read.
 *
 * An object's pages are numbered through in address order: the page index, which is what
 * bitmaps of the server are made of.
 */
#ifndef TRANSPORT_PROVIDER_H
#define TRANSPORT_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/image.h"

struct provider;
struct provider_object;

enum provider_result {
	PROVIDER_DATA,
	PROVIDER_GONE, /* no such page, or it could not be read */
};

/* Empty; the caller owns *out. -ENOMEM. */
int provider_new(struct provider **out);
void provider_free(struct provider *provider);

/*
 * Memory of a stopped process (or of a keeper). pid: whose memory to read, as we see it; mem_fd:
 * its /proc/PID/mem, taken over. -ENOMEM, and the descriptor is closed.
 */
int provider_add_task(struct provider *provider, uint64_t object, pid_t pid, int mem_fd,
		      struct provider_object **out);
/* Its pages, in ascending order; what touches is joined. */
int provider_add_range(struct provider_object *object, uint64_t start, uint64_t end);
/* The same memory is read from another process from now on (takes mem_fd over). Not while
 * anybody reads. */
void provider_move_task(struct provider_object *object, pid_t pid, int mem_fd);
/* Everything that the set has pages of. Logged. */
int provider_add_images(struct provider *provider, struct image_dir *images);
/* Call when all is added: sorts objects for lookups. */
void provider_seal(struct provider *provider);

/* Objects by their place in the order of names, 0 to provider_count() - 1; borrowed. After
 * provider_seal(), as everything below. */
size_t provider_count(const struct provider *provider);
struct provider_object *provider_at(const struct provider *provider, size_t i);
/* By wire_object(), or by bare image id (compatible GET): NULL if there is none. */
struct provider_object *provider_find(const struct provider *provider, uint64_t object);
struct provider_object *provider_find_id(const struct provider *provider, uint64_t id);

/* Of one object: its wire_object(), and how many pages it has. */
uint64_t provider_object_name(const struct provider_object *object);
size_t provider_object_slot(const struct provider_object *object); /* its i in provider_at() */
uint64_t provider_pages(const struct provider_object *object);
/* The address of the page at index, which must be below provider_pages(). */
uint64_t provider_address(const struct provider_object *object, uint64_t index);
/*
 * The index of the first page at vaddr or behind it (provider_pages(): none), and in *run how many
 * pages lie side by side from there.
 */
uint64_t provider_index(const struct provider_object *object, uint64_t vaddr, uint64_t *run);

/*
 * Reads up to nr_pages from vaddr into buf. *done: for how many of them, at least one, the result
 * holds; call again for the rest. What cannot be read is GONE, never zeros; logged once an object.
 */
enum provider_result provider_read(struct provider_object *object, uint64_t vaddr,
				   uint64_t nr_pages, void *buf, uint64_t *done);

#endif
