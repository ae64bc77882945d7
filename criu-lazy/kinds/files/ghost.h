/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside kinds/files/: files that live only as long as they are open, made again from images. What
 * returns an int returns 0, or a negative errno with the reason logged.
 */
#ifndef KINDS_FILES_GHOST_H
#define KINDS_FILES_GHOST_H

#include "restore/restore.h"

struct ghosts;
struct ghost;

/* Empty; the caller owns *out. ghosts_free() removes no files: see ghosts_remove(). */
int ghosts_new(struct ghosts **out);
void ghosts_free(struct ghosts *ghosts);
/* Restorer, plan: ghost id, which was at `name` (borrowed); the same id again is the same ghost. */
int ghosts_plan(struct restore *restore, struct ghosts *ghosts, uint32_t id, const char *name,
		struct ghost **out);
/* After the last one: where each will be, and which directories are missing. */
int ghosts_plan_end(struct ghosts *ghosts);
/* Root task: makes them all. */
int ghosts_make(struct restore *restore, struct ghosts *ghosts);
/* Restorer: unlinks what was made, and nothing else. A second call does nothing. */
void ghosts_remove(struct ghosts *ghosts);
/* Where it is while the restore runs. */
const char *ghost_path(const struct ghost *ghost);

#endif
