/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The dump: a list of phases (dump/dump.c) over one context, and one finish
 * routine. Everything here runs in the dumper, a single-threaded process
 * (memory copying may use threads of its own, joined before it returns).
 */
#ifndef DUMP_DUMP_H
#define DUMP_DUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "options/options.h"
#include "tree/tree.h"
#include "util/undo.h"

struct compel_inject;
struct page_push;      /* transport/push.h */
struct lazy_serve;     /* dump/lazy_serve.h */
struct file_registry;  /* kinds/: file objects seen, by identity */
struct shmem_registry; /* mem/: shared segments seen */
struct seccomp_table;  /* task/ */

/* What the dump knows of one task, hung on task->dump. */
struct dump_task {
	struct compel_inject *inject; /* only while task_dump_ask() runs, else NULL */
	int pidfd;		      /* for pidfd_getfd(2) */
	int proc_fd;		      /* /proc/PID, for openat */
	bool is_released;	      /* by tree_release(): no longer seized */
	void *priv;		      /* struct task_facts of task/ */
};

struct dump_counters { /* become the statistics image; times in microseconds */
	uint64_t freezing_us, frozen_us, memdump_us, memwrite_us;
	uint64_t pages_scanned, pages_skipped_parent, pages_written, pages_lazy;
	uint64_t shpages_scanned, shpages_skipped_parent, shpages_written;
};

struct dump {
	const struct options *opts;
	struct image_dir *images;
	struct tree tree;
	struct undo undo;
	struct undo_entry *frozen; /* mark in undo: what is above ends with the frozen tree */
	struct file_registry *files;
	struct shmem_registry *shmem;
	struct image *files_img;       /* files.img, open while descriptors are dumped */
	struct image *locks_img;       /* filelocks.img, if there is a lock */
	struct seccomp_table *seccomp; /* filters seen */
	struct lazy_serve *lazy;       /* --lazy-pages; NULL: all pages are written */
	struct page_push *push;	       /* --page-server; NULL: pages go into files */
	uint32_t next_pages_id;
	struct dump_counters counters;
};

/*
 * The whole command: opts->tree_pid is dumped into opts->images_dir and then
 * killed, left stopped or left running. 0, or a negative errno with the tree
 * running as before.
 */
int dump_run(const struct options *opts);

/*
 * For files_dump_task(), once per descriptor, fdinfo its text: records the file locks it holds, or
 * refuses them (-EOPNOTSUPP, logged). is_new: its open file description was not seen before.
 */
int locks_dump_descriptor(struct dump *dump, const struct task *task, int fd, const char *fdinfo,
			  bool is_new);

#endif
