/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the lists of the blob are composed from, in the task, after its descriptors are at their
 * numbers. All descriptors here are the task's copies of ours: the blob closes them.
 */
#ifndef RESTORE_COMPOSE_H
#define RESTORE_COMPOSE_H

#include <stddef.h>
#include <stdint.h>

#include "restore/calls.h"
#include "restore/restore_task.h"

enum { KEEP_EXE, KEEP_CWD, KEEP_ROOT, KEEP_LAZY, KEEP_UFFD_DEVICE, KEEP_FIXED };

struct map_file { /* a descriptor to map: of a file or of a shared segment */
	uint64_t shmid;
	uint32_t flags;
	bool is_segment;
	int fd;
};

struct pages_file { /* a pages-N.img of the extents, by the restorer's number */
	int source_fd, fd;
};

struct compose {
	struct restore *restore;
	struct task *task;
	struct region region;
	struct calls calls;
	uint64_t region_end; /* of everything: arguments, shared memory, parked vDSO */
	uint64_t park;	     /* where vDSO and vvar wait */
	uint64_t shared;     /* where restore->shared will be */
	int fixed[KEEP_FIXED];
	struct map_file *maps;
	size_t nr_maps;
	struct pages_file *pages;
	size_t nr_pages;
};

/* compose_mem.c: opens what the areas need (before files_install()), then writes their items. */
int compose_mem_open(struct compose *compose);
int compose_mem(struct compose *compose);
/* compose_vdso.c: ours is set aside before everything is unmapped, and put in place afterwards. */
int compose_vdso_park(struct compose *compose);
int compose_vdso_place(struct compose *compose);

#endif
