/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A task's areas with their VmFlags, at a cost that does not grow with its memory: maps, and the
 * kernel's own flags (vma_iter.h). What these bits mean is learnt from areas of our own, of which
 * smaps tells the meaning and the iterator the bits: whoever has the same bits has the same flags.
 * No bit is known by its number here, so a new kernel may move them.
 */
#ifndef KERNEL_VMA_FLAGS_H
#define KERNEL_VMA_FLAGS_H

#include <sys/types.h>

#include "kernel/proc_maps.h"

struct vma_flags;

/* Learns: some milliseconds, for which another thread may be used. Not to be had: an error, not
 * logged; then there is proc_vmas_read(). */
int vma_flags_open(struct vma_flags **out);
void vma_flags_close(struct vma_flags *flags);
/*
 * As proc_vmas_read() of a stopped task. pid: as we see it. -ENODATA (not logged): it has an area
 * of a kind that was not learnt (locked, with several sorts of advice, huge pages, ...).
 */
int vma_flags_read(const struct vma_flags *flags, int proc_fd, pid_t pid, struct proc_vmas *out);

#endif
