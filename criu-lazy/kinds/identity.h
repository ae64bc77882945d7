/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which descriptors are the same open file description, within a task and across tasks of a frozen
 * tree: an ordered tree, by cheap facts first (device, inode, flags), then by kcmp(2).
 */
#ifndef KINDS_IDENTITY_H
#define KINDS_IDENTITY_H

#include <stdint.h>
#include <sys/types.h>

struct identity_key {
	uint64_t dev, ino;
	uint32_t flags;
	pid_t host_pid; /* a holder, and its number there, for kcmp */
	int number;
};

struct identity; /* the tree */

/* Empty; the caller owns *out. -ENOMEM, logged. */
int identity_new(struct identity **out);
void identity_free(struct identity *identity);
/* *id: where the id of the description is kept, 0 when it is new: the caller writes it there. Valid
 * as long as the tree. Holders named before must still be there. O(log n) kcmp(2) calls at most. 0
 * or -errno, logged. */
int identity_find(struct identity *identity, const struct identity_key *key, uint32_t **id);

#endif
