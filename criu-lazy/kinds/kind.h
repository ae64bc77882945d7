/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a descriptor can be. One file per kind in its family folder, one row in
 * the ordered table of kinds/registry.c; nothing else knows kinds by name.
 *
 * Dump: detect -> dump, in the dumper, tree frozen. They see the descriptor as
 * struct fd_probe, with a duplicate of it taken by pidfd_getfd(2): whatever
 * fcntl, ioctl, getsockopt, /proc/self/fdinfo can tell is asked there, without
 * code in the task.
 *
 * Restore: collect and depends in the restorer (plan, changes nothing); open in
 * the root task, once per object, dependencies first; then the tree is forked
 * and inherits the masters; post_open in each task that holds the object, when
 * its descriptors are at their numbers.
 */
#ifndef KINDS_KIND_H
#define KINDS_KIND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "dump/dump.h"
#include "fdinfo.pb-c.h"
#include "restore/restore.h"

/* One descriptor of a frozen task. All members are borrowed by the ops. */
struct fd_probe {
	const struct task *task;
	int number;         /* in the task; -1 for a file that is not a descriptor (exe, cwd, mapping) */
	int fd;             /* our duplicate (same open file description); O_PATH possible */
	struct stat st;     /* of fd */
	const char *link;   /* /proc/PID/fd/N as readlink gives it */
	const char *fdinfo; /* text of /proc/PID/fdinfo/N */
	uint64_t pos;       /* the fields every fdinfo has */
	uint32_t flags;     /* open flags without O_CLOEXEC */
	int mnt_id;
	bool cloexec;
};

/* A file object of the images: one open file description. */
struct file_object {
	uint32_t id;
	const struct kind_ops *ops;
	FileEntry *entry; /* from files.img, owned by the table */
	int master;       /* in the root task and its children after open; -1 before */
	void *priv;       /* of the kind, freed by ops->free */
};

struct kind_ops {
	const char *name;
	FdTypes type;

	/* Dumper. Is this descriptor mine? Must not block or change anything. Asked in table order. */
	bool (*detect)(const struct fd_probe *probe);
	/*
	 * Dumper, once per open file description. Fills the union of `entry` (type and id are
	 * set) with memory from malloc (released by file_entry__free_unpacked), and may write
	 * images of its own. -EOPNOTSUPP after log_err naming the object: refuse the dump.
	 */
	int (*dump)(struct dump *dump, const struct fd_probe *probe, FileEntry *entry);

	/* Restorer, plan. Optional. Reads the kind's own images, checks the entry. */
	int (*collect)(struct restore *restore, struct file_object *object);
	/* Restorer, plan. Optional. Calls file_table_need(table, object, id) for each object
	 * that must be opened before this one. */
	int (*depends)(struct restore *restore, struct file_object *object);
	/*
	 * Root task. Returns a new descriptor, close-on-exec, anywhere, in *fd; or with two-ended
	 * objects sets the peer's master as well. May block only on local I/O.
	 */
	int (*open)(struct restore *restore, struct file_object *object, int *fd);
	/* The holding task, after all descriptors are at their numbers. Optional. `first` in
	 * exactly one task per object (the one with the lowest pid). fd: the final number. */
	int (*post_open)(struct restore *restore, struct file_object *object,
			 const struct task *task, int fd, bool first);
	void (*free)(struct file_object *object); /* optional */
};

/* kinds/registry.c: the ordered table. */
const struct kind_ops *kind_by_type(FdTypes type);
const struct kind_ops *kind_detect(const struct fd_probe *probe);

/* ---- dump side (kinds/files_dump.c), in the dumper ---------------------- */

/* Before and after all tasks. */
int files_dump_begin(struct dump *dump);
int files_dump_end(struct dump *dump);
/* fdinfo-ID.img of the task's descriptor table and every object not yet seen. Checks the whole
 * table first: an unsupported object is refused with its name before anything is changed. */
int files_dump_task(struct dump *dump, struct task *task, uint32_t files_id);
/*
 * A file that is no descriptor of the task: exe link, cwd, root, file mapping. fd is ours
 * (borrowed; O_PATH is fine), flags are the open flags to restore with. The same (dev, ino,
 * mnt, flags, path) yields the same *id.
 */
int files_dump_path(struct dump *dump, struct task *task, int fd, const char *link,
		    uint32_t flags, uint32_t *id);

/* ---- restore side (kinds/files_restore.c) ------------------------------- */

/* Restorer, plan: reads files.img, fdinfo-*.img, remap-fpath.img; runs collect and depends. */
int files_plan(struct restore *restore);
int file_table_need(struct file_table *table, struct file_object *object, uint32_t id);
struct file_object *file_table_find(struct file_table *table, uint32_t id);
/* Root task, before the tree is forked: opens all objects, dependencies first. */
int files_open_all(struct restore *restore);
/* The highest descriptor number the task needs; service descriptors must stay above. */
int files_highest_number(const struct restore *restore, const struct task *task);
/* The task: moves masters to their numbers, then post_open. keep: our own descriptors, which
 * must survive; they are moved above files_highest_number() and rewritten in place. Closes all
 * others. */
int files_install(struct restore *restore, struct task *task, int *const keep[], size_t nr_keep);
/* Any process of the restore after files_open_all(): a new descriptor on a regular file object
 * (exe link, cwd, root, mapping); flags: open flags to use instead of the image's, or -1. */
int files_open_path(struct restore *restore, uint32_t id, int flags, int *fd);
/* Restorer, after success: ghost files are unlinked, remaps dropped. Root task side effects are
 * pushed on restore->undo by the restorer at plan time. */
void files_finish(struct restore *restore, bool failed);
void files_free(struct restore *restore);

#endif
