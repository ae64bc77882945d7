/* SPDX-License-Identifier: GPL-2.0 */
/* Memory, dump side, and shared segments on both sides. */
#ifndef MEM_MEM_H
#define MEM_MEM_H

#include <stdbool.h>
#include <stdint.h>

#include "dump/dump.h"
#include "mm.pb-c.h"
#include "restore/restore.h"

/* What only the task could say, gathered by injected calls before. */
struct mem_task_facts {
	int dumpable;	   /* prctl(PR_GET_DUMPABLE) */
	bool thp_disabled; /* prctl(PR_GET_THP_DISABLE) */
	uint64_t brk;	   /* brk(0) in the task */
};

/* Dumper. Before the freeze, so that a thread of it gets ready meanwhile; again: does nothing. */
int mem_dump_begin(struct dump *dump);
/* After the tasks. */
int mem_dump_end(struct dump *dump);
/*
 * Only looks: -EOPNOTSUPP (logged) if the task has an area that cannot be dumped. Call it before
 * anything is injected: what it saw is what mem_dump_task() dumps, so our own mappings in the task
 * stay out.
 */
int mem_dump_check(struct dump *dump, struct task *task);
/* Nothing is injected any more: begins to look for the task's pages, in other threads. */
int mem_dump_scan(struct dump *dump, struct task *task);
/* mm-PID.img, pagemap-PID.img and pages-N.img of one task. */
int mem_dump_task(struct dump *dump, struct task *task, const struct mem_task_facts *facts);

/*
 * Dumper. The content of a shared file (memfd, anonymous shared memory), once each, as
 * pagemap-shmem-*SHMID.img. fd: ours, borrowed, O_PATH is fine; it is opened anew.
 */
int mem_dump_segment(struct dump *dump, int fd, uint32_t *shmid);

/*
 * Any process of the restore. Fills the file behind fd (writable, not sealed yet, as large as the
 * image says) with pagemap-shmem-SHMID.img. A segment without an image is all zeros: 0.
 */
int shmem_fill(const struct restore *restore, uint64_t shmid, int fd);

/* Restorer, plan: finds the shared segments of all mm images (anonymous shared, SysV), their sizes
 * and users. */
int shmem_plan(struct restore *restore);
/* Root task, before the tree is forked: creates every segment; fills it from its pagemap unless
 * shmem_is_lazy(). */
int shmem_open_all(struct restore *restore);
/* Any process of the restore afterwards: a descriptor (borrowed, inherited) to map segment shmid.
 */
int shmem_fd(const struct restore *restore, uint64_t shmid);
/* Restorer, plan. The segment may be filled by the lazy-pages daemon: --lazy-pages, every mapping
 * is writable and registered, nothing but mappings reaches it (UFFD.md 5). */
bool shmem_is_lazy(const struct restore *restore, uint64_t shmid);
void shmem_free(struct restore *restore);

#endif
