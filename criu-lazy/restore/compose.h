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
	size_t most_pieces; /* compose_fill.c: there is room for */
};

/* compose_mem.c: opens what the areas need (before files_install()), then writes their items. */
int compose_mem_open(struct compose *compose);
int compose_mem(struct compose *compose);
/* A run of pages in one area: where it goes, and the file it comes from. */
struct page_run {
	uint64_t vaddr, len, offset;
	int fd, source_fd; /* in the task, in the restorer */
};

/* Calls `each` for every run of area number `index` that the blob brings: not the daemon's, and not
 * in place already. `is_long` chooses between those that compose_fill() and compose_mem() take. */
void compose_each_run(struct compose *compose, size_t index, bool is_long,
		      void (*each)(void *context, const struct page_run *run), void *context);

/* compose_fill.c: long runs of pages of anonymous areas, in one item. */
bool fill_takes(const VmaEntry *vma, uint64_t len);
void compose_fill(struct compose *compose);
/* Room in the region for the pieces that compose_fill() writes; asked before it. */
size_t fill_bytes(struct compose *compose);

/* compose_vdso.c: ours is set aside before everything is unmapped, and put in place afterwards. */
int compose_vdso_park(struct compose *compose);
int compose_vdso_place(struct compose *compose);

#endif
