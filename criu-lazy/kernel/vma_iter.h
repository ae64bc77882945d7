/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The flags of a task's areas as the kernel holds them, without a walk of its page tables: a BPF
 * iterator over areas (task_vma, Linux 5.12; of one task: 6.1), whose program is a dozen
 * instructions made here. What the bits mean is the kernel's own affair: see vma_flags.h.
 */
#ifndef KERNEL_VMA_ITER_H
#define KERNEL_VMA_ITER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct vma_raw {
	uint64_t start, end;
	uint64_t flags; /* vm_flags */
};

struct vma_iter;

/* Reads the kernel's type information and loads the program: a millisecond or two. -EPERM without
 * CAP_BPF and CAP_PERFMON, -EOPNOTSUPP and others where the kernel lacks something; not logged. */
int vma_iter_open(struct vma_iter **out);
/* NULL is fine. */
void vma_iter_close(struct vma_iter *iter);
/* pid: as we see it. *items: malloc, ascending. -EAGAIN: its address space changed meanwhile. */
int vma_iter_read(const struct vma_iter *iter, pid_t pid, struct vma_raw **items, size_t *count);

#endif
