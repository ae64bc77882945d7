/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What of a task is restored lazily: the areas to register and the pages that must be there before
 * its first instruction. Pure: images in, ranges out. Used by the restorer, which sends it in the
 * hello and reads everything else itself.
 */
#ifndef LAZY_PLAN_H
#define LAZY_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "core.pb-c.h"
#include "lazy/protocol.h"
#include "mm.pb-c.h"

struct lazy_plan {
	struct lazy_range *ranges;
	size_t nr_ranges;
	struct lazy_eager *eager;
	size_t nr_eager;
};

/* is_lazy_shmem: may segment shmid be lazy (ctx passed through). */
typedef bool (*lazy_shmem_fn)(void *ctx, uint64_t shmid);

/*
 * cores: one per thread, leader first. Eager pages: those of clear_child_tid, robust list head,
 * rseq, TLS block, alternate-stack top, the page(s) at each thread's stack pointer, arguments,
 * environment, auxv. 0 or -ENOMEM.
 */
int lazy_plan_build(const MmEntry *mm, CoreEntry *const *cores, size_t nr_cores,
		    lazy_shmem_fn is_lazy_shmem, void *ctx, struct lazy_plan *out);
void lazy_plan_fini(struct lazy_plan *plan);
/* Is this address inside a range to register? O(log n). */
bool lazy_plan_covers(const struct lazy_plan *plan, uint64_t vaddr);

#endif
