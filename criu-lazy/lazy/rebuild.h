/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From the journal to what the engine works with. No kernel in here: what it must know of
 * descriptors and images it asks.
 */
#ifndef LAZY_REBUILD_H
#define LAZY_REBUILD_H

#include <stdbool.h>
#include <stdint.h>

struct lazy_source;
struct lazyd;
struct space;

struct rebuild_calls {
	int (*source)(struct lazyd *lazyd, uint64_t object, struct lazy_source **out);
	bool (*is_uffd)(int fd);
	/* A descriptor of a hello that was not answered: nobody has run on it. */
	void (*half_armed)(int fd);
};

/*
 * Into a lazyd without spaces and segments: those of the last epoch, and the counters. Versions
 * that were not committed are no more, the heap knows what is in use. Messages of the inbox are
 * still to be applied. 0 or -errno of source(), -ENOMEM.
 */
int rebuild(struct lazyd *lazyd, const struct rebuild_calls *calls);
/* The space of a slot, or NULL. */
struct space *rebuild_find(struct lazyd *lazyd, int slot);

#endif
