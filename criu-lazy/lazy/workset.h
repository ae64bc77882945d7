/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The working set: which pages tasks touched first, in order (lazy-working-set.img). Recorded from
 * the faults of one lazy restore, it tells the next one what to bring first. Advice only: a page
 * that is not owed, or an object that does not exist, is passed over.
 *
 * Engine's thread.
 */
#ifndef LAZY_WORKSET_H
#define LAZY_WORKSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

/* A run of pages of one object (transport/wire.h), touched one after the other. */
struct workset_run {
	uint64_t object;
	uint64_t vaddr;
	uint64_t nr_pages;
};

struct workset {
	struct workset_run *runs;
	size_t count, room;
	uint64_t pages;
};

/* A set without pages, also when the images have none. -EBADMSG and the like are logged. */
int workset_load(struct image_dir *images, struct workset *out);
/* Logged. */
int workset_save(const struct workset *set, struct image_dir *images);
void workset_fini(struct workset *set);
/*
 * What to have in place before a task runs: the first max_pages, in order of place, joined, and
 * rounded to `around` bytes (a power of two), since the next time is never quite the same. -ENOMEM.
 */
int workset_first(const struct workset *set, uint64_t max_pages, uint64_t around,
		  struct workset *out);
/* A page was touched. Out of memory, or of bounds: forgotten. */
void workset_add(struct workset *set, uint64_t object, uint64_t vaddr, uint64_t nr_pages);

#endif
