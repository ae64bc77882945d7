/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The restore: plan (read and check everything) -> fork the tree -> stages ->
 * finish.
 *
 * Processes. The *restorer* plans and watches. The *root task* is its child
 * with the wanted pid: it enters namespaces and opens every file object once
 * (kinds/), then forks the tree, so children inherit the opened objects. Each
 * task moves descriptors to their numbers, then enters the restorer blob,
 * which maps memory and makes threads. The restorer at last seizes all
 * threads, sets their contexts, unmaps the blob and lets them go.
 */
#ifndef RESTORE_RESTORE_H
#define RESTORE_RESTORE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "options/options.h"
#include "tree/tree.h"
#include "util/undo.h"

struct file_table;     /* kinds/: file objects of the images */
struct shmem_table;    /* mem/: shared segments */
struct restore_shared; /* restore/: memory shared by all processes: stage, error */
struct seccomp_filters;
struct lock_table;
struct own_vdso; /* restore/: our own vDSO, which tasks get */

struct restore {
	const struct options *opts;
	struct image_dir *images;
	struct tree tree;
	struct undo undo;
	struct file_table *files;
	struct shmem_table *shmem;
	struct restore_shared *shared;
	struct own_vdso *vdso;
	struct seccomp_filters *seccomp; /* task/ */
	struct lock_table *locks;	 /* task/; NULL: none */
	sigset_t saved_mask; /* of the restorer; all signals are blocked while it works */
	bool has_daemon;     /* a lazy-pages daemon was started by us */
	uint32_t nr_tasks;   /* with helpers */
	uint32_t nr_alive;   /* tasks that are no zombies */
	struct InventoryEntry *inventory;
};

/*
 * The whole command. On success *root_pid (may be NULL) is the root's pid as
 * seen by the caller. On failure the host is as before.
 */
int restore_run(const struct options *opts, pid_t *root_pid);

#endif
