/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How many bytes one write(2) to a pages file should have.
 *
 * ext4 and xfs make one large folio of a large write if they can, which costs half as much as one
 * page at a time. But large free memory is often what a hypervisor has taken back (free page
 * reporting): its first touch is a fault of the host per page, and then 1 GiB takes 2 s and more,
 * while the small pieces that single pages come from are never taken back. Which of both it is
 * changes while a file is written, so both are timed, and the faster one is used.
 */
#ifndef MEM_WRITE_SIZE_H
#define MEM_WRITE_SIZE_H

#include <stdint.h>
#include <stddef.h>

enum { WRITE_SIZES = 2 };

/* Starts as zeros; one writer at a time. */
struct write_size {
	uint64_t cost[WRITE_SIZES]; /* ns per MiB, recent; 0: not tried */
	unsigned int current;	    /* what was chosen last */
	unsigned int slower;	    /* at the last choice */
	unsigned int since, retry;  /* choices since it was tried, and until it is again */
};

/* The size for the next bytes: 4096 or more. */
size_t write_size_choose(struct write_size *sizes);
/* What was chosen last has written `bytes`, not 0, in `ns` of the processor's time: what others
 * take from us says nothing. */
void write_size_learn(struct write_size *sizes, uint64_t bytes, uint64_t ns);

#endif
