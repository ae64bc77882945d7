/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside kinds/files/: files that are opened by a path, and what helps when the path no longer
 * leads to them. A remap says where the inode is instead:
 *   GHOST   it has no name at all: its content is in ghost-file-N.img
 *   LINKED  it has other names: the dump has made one more, link_remap.N, next to the lost one
 */
#ifndef KINDS_FILES_REGULAR_H
#define KINDS_FILES_REGULAR_H

#include "kinds/families.h"
#include "regfile.pb-c.h"
#include "remap-file-path.pb-c.h"

/* ---- dump ---- */

enum path_state {
	PATH_RIGHT,	/* the path leads to the file */
	PATH_NO_NAME,	/* unlinked, no name left */
	PATH_ELSEWHERE, /* the name is gone or leads to another file, but the inode has names */
	PATH_DEAD_PROC, /* a file of /proc/PID, and that process is gone */
};

/* What became of the path the kernel shows. *name (malloc) is it without " (deleted)". */
int path_check(const struct fd_probe *probe, char **name, enum path_state *state);
/* Pure: is " (deleted)" at the end of link, and where. */
const char *path_deleted_mark(const char *link);

/* The reg_file_entry of the probed file under id, with remaps where they are needed. Also for
 * others that have a path (fifo). */
int regular_dump_entry(struct dump *dump, const struct fd_probe *probe, uint32_t id,
		       RegFileEntry **out);
/* Writes remap-fpath and what it needs for object id, whose path is `name`. */
int remap_dump_ghost(struct dump *dump, const struct fd_probe *probe, uint32_t id,
		     const char *name);
int remap_dump_dead_proc(struct dump *dump, uint32_t id, pid_t pid);
int remap_dump_link(struct dump *dump, const struct fd_probe *probe, uint32_t id, const char *name);

/* ---- restore ---- */

struct remaps; /* all remaps of the set, in *file_table_priv() of regular_kind */
struct remap;

/* Restorer, plan: reads remap-fpath.img and the heads of the ghost images. */
int remaps_plan(struct restore *restore, struct remaps **out);
void remaps_free(struct remaps *remaps);
/* NULL if the object is opened by its own path. */
struct remap *remap_find(struct remaps *remaps, uint32_t id);
/* Is pid a process that was gone when the set was dumped? */
bool remaps_have_dead_pid(const struct remaps *remaps, pid_t pid);
/* Any process: opens a file of /proc of such a process. Needs the right to choose pids. */
int dead_proc_open(pid_t pid, const char *name, int flags, int *fd);
/* The same for a working directory: fchdir(2) looks whether the process is there. */
int dead_proc_chdir(pid_t pid, const char *name);
/* Root task: makes the ghosts. */
int remaps_make(struct restore *restore, struct remaps *remaps);
/*
 * Any process, after remaps_make(): opens the file at its own name where that is free (linked for
 * the moment, so that /proc shows the right one), else where it is kept. flags: complete.
 */
int remap_open(struct remap *remap, const char *name, int flags, int *fd);
/* Restorer: ghosts go; links made by the dump go if it succeeded. */
void remaps_finish(struct remaps *remaps, bool failed);

/* Open flags of an image made fit to open an existing file with, always close-on-exec. Pure. */
int regular_open_flags(uint32_t image_flags, uint32_t mode);
/* /proc/PID/...: the pid, 0 for any other path. Pure. */
pid_t regular_proc_pid(const char *name);

#endif
