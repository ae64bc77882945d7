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
#include <stdlib.h>
#include <sys/stat.h>

#include "dump/dump.h"
#include "fdinfo.pb-c.h"
#include "restore/restore.h"

/* One descriptor of a frozen task. All members are borrowed by the ops. */
struct fd_probe {
	const struct task *task;
	int number; /* in the task; -1 for a file that is not a descriptor (exe, cwd, mapping) */
	int fd;	    /* our duplicate (same open file description); O_PATH possible */
	struct stat st;	    /* of fd */
	const char *link;   /* /proc/PID/fd/N as readlink gives it */
	const char *fdinfo; /* text of /proc/PID/fdinfo/N */
	uint64_t pos;	    /* the fields every fdinfo has */
	uint32_t flags;	    /* open flags without O_CLOEXEC */
	int mnt_id;
	bool cloexec;
};

/* A file object of the images: one open file description. */
struct file_object {
	uint32_t id;
	const struct kind_ops *ops;
	FileEntry *entry; /* from files.img, owned by the table */
	int master;	  /* in the root task and its children after open; -1 before */
	void *priv;	  /* of the kind, freed by ops->free */
};

struct kind_ops {
	const char *name;
	FdTypes type;

	/* Dumper. Is this descriptor mine? Must not block or change anything. Asked in table order.
	 */
	bool (*detect)(const struct fd_probe *probe);
	/*
	 * Dumper, once per open file description. Fills the union of `entry` (type and id are
	 * set) with memory from malloc (released by file_entry__free_unpacked), and may write
	 * images of its own. -EOPNOTSUPP after log_err naming the object: refuse the dump.
	 */
	int (*dump)(struct dump *dump, const struct fd_probe *probe, FileEntry *entry);

	/* Restorer, plan. Optional. Once, if the set has objects of the kind, before the first
	 * collect: reads images that hold many of them into *file_table_priv(). */
	int (*plan)(struct restore *restore);
	/* Restorer, plan. Optional. Checks the entry (its union member is there) and what it needs
	 * outside. Logs what is wrong; the others are still collected, so that all is reported. */
	int (*collect)(struct restore *restore, struct file_object *object);
	/* Restorer, plan. Optional. Calls file_table_need(table, object, id) for each object
	 * that must be opened before this one. */
	int (*depends)(struct restore *restore, struct file_object *object);
	/* Root task. Optional. Once, before the first open of any kind. */
	int (*prepare)(struct restore *restore);
	/* Plan. Optional. The object can only be opened when the tree is forked (files of
	 * /proc/PID, pidfds): open is then called in the first task that holds it, by
	 * files_install(). */
	bool (*is_late)(struct restore *restore, const struct file_object *object);
	/*
	 * Root task. Returns a new descriptor, close-on-exec, anywhere, in *fd; or with two-ended
	 * objects sets the peer's master as well. May block only on local I/O.
	 */
	int (*open)(struct restore *restore, struct file_object *object, int *fd);
	/* Any process of the restore. Optional: files_open_path(). A kind that has it is not opened
	 * before the fork unless a descriptor wants it. flags as there. The default opens
	 * /proc/self/fd/MASTER. */
	int (*reopen)(struct restore *restore, struct file_object *object, int flags, int *fd);
	/* Optional. Who gets SIGIO (fcntl(2), F_SETOWN): the entry's member; set at the end for
	 * all. */
	const FownEntry *(*fown)(const struct file_object *object);
	/* The holding task, after all descriptors are at their numbers. Optional. `first` in
	 * exactly one task per object (the one with the lowest pid). fd: the final number. */
	int (*post_open)(struct restore *restore, struct file_object *object,
			 const struct task *task, int fd, bool first);
	/* Restorer, at the end, for success and failure; after plan has been called. Optional. */
	void (*finish)(struct restore *restore, bool failed);
	void (*free)(struct file_object *object); /* optional */
	/* Optional. Frees *file_table_priv(). */
	void (*fini)(struct restore *restore);
};

/* kinds/registry.c: the ordered table. */
const struct kind_ops *kind_by_type(FdTypes type);
const struct kind_ops *kind_detect(const struct fd_probe *probe);
/* Row by row; NULL after the last. */
const struct kind_ops *kind_at(size_t index);

/* An initialised message for a union member: message_new(PipeEntry, pipe_entry); NULL: no memory.
 */
#define message_new(type, prefix)                \
	({                                       \
		type *m_ = malloc(sizeof(type)); \
		if (m_)                          \
			prefix##__init(m_);      \
		m_;                              \
	})

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
int files_dump_path(struct dump *dump, struct task *task, int fd, const char *link, uint32_t flags,
		    uint32_t *id);

/*
 * A description that travels in a socket's queue, of which we got a descriptor by peeking: fd,
 * taken over. The same description in a task or in another queue yields the same *id.
 */
int files_dump_travelling(struct dump *dump, const struct task *task, int fd, uint32_t *id);

/* For the kinds' dump. A new object id, for an entry besides the one being dumped. */
uint32_t files_dump_new_id(struct dump *dump);
/* Appends an entry of its own to files.img. */
int files_dump_entry(struct dump *dump, const FileEntry *entry);
/* The image (id 0) where a kind puts data of many objects: created on first use, closed by
 * files_dump_end(). Borrowed. */
int files_dump_image(struct dump *dump, enum image_kind image, struct image **out);
/* A number kept for (owner, a, b) during the dump, 0 when new: "has this pipe's data been
 * dumped", "the id of this inode". owner: any address of the kind. NULL: out of memory, logged. */
uint32_t *files_dump_slot(struct dump *dump, const void *owner, uint64_t a, uint64_t b);
/* The same number by value: 0 if there is none; -ENOMEM, logged. */
uint32_t files_dump_get(struct dump *dump, const void *owner, uint64_t a, uint64_t b);
int files_dump_set(struct dump *dump, const void *owner, uint64_t a, uint64_t b, uint32_t value);
/*
 * Calls note for every descriptor of every task of the tree, before or after its own dump: number
 * and link are names as in /proc/PID/fd. For kinds that must know what else the tree holds. Stops
 * at the first call that does not return 0, and returns that. A task whose descriptors cannot be
 * listed (a zombie) has none.
 */
typedef int (*files_note_fn)(struct dump *dump, const struct task *task, const char *number,
			     const char *link);
int files_dump_each_link(struct dump *dump, files_note_fn note);

/* ---- restore side (kinds/files_restore.c) ------------------------------- */

/* Restorer, plan: reads files.img, fdinfo-*.img, remap-fpath.img; runs collect and depends. */
int files_plan(struct restore *restore);
int file_table_need(struct file_table *table, struct file_object *object, uint32_t id);
/* NULL if there is none. O(log n). */
struct file_object *file_table_find(struct file_table *table, uint32_t id);
/* The object after `object` (NULL: the first) in order of ids; NULL at the end. */
struct file_object *file_table_next(struct file_table *table, struct file_object *object);
/* Where a kind keeps what belongs to all its objects; NULL at first. */
void **file_table_priv(struct file_table *table, const struct kind_ops *ops);
/* Do descriptors of tasks refer to it (or only mappings, links and other objects)? */
bool file_object_is_held(const struct file_object *object);
/* Root task, before the tree is forked: opens all objects, dependencies first. */
int files_open_all(struct restore *restore);
/* The highest descriptor number the task needs; service descriptors must stay above. */
int files_highest_number(const struct restore *restore, const struct task *task);
/*
 * The task, after it has forked its children: moves masters to their numbers, then post_open.
 * keep: our own descriptors, which must survive; they are moved above files_highest_number(),
 * made close-on-exec and rewritten in place. The log is kept without being named. Closes all
 * others. Late objects (kind_ops.is_late) are opened here: every task must exist.
 */
int files_install(struct restore *restore, struct task *task, int *const keep[], size_t nr_keep);
/* Any process of the restore after files_open_all(): a new descriptor on a regular file object
 * (exe link, cwd, root, mapping); flags: open flags to use instead of the image's, or -1. */
int files_open_path(struct restore *restore, uint32_t id, int flags, int *fd);
/* The task: fd is file object id (files_open_path()); it becomes the working directory. */
int files_chdir(struct restore *restore, uint32_t id, int fd);
/*
 * Restorer, when all threads exist (host pids are known) and nothing is opened any more, before the
 * tasks run: sets owners (F_SETOWN), unlinks ghost files and remaps. Called with failed from
 * restore->undo, where files_plan() pushes it. A second call does nothing.
 */
int files_finish(struct restore *restore, bool failed);
/* After undo_run(). */
void files_free(struct restore *restore);

#endif
