/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copies runs of a stopped task's pages one behind the other into a file. The bytes go through a
 * buffer that stays in the cache: process_vm_readv(2) in, pwrite(2) out.
 */
#ifndef MEM_PAGE_COPY_H
#define MEM_PAGE_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct page_copy_run {
	uint64_t start, end; /* page aligned addresses in the task, or offsets in the file */
	bool by_fd;	     /* by pread(2) from in_fd instead of process_vm_readv(2) */
};

struct page_copy {
	const char *what; /* whose pages, for messages: "task 12" */
	pid_t pid;
	/* Borrowed. /proc/PID/mem, for areas without PROT_READ: it asks for no permission. Or a
	 * file. */
	int in_fd;
	uint64_t in_size; /* a file's size: zeros follow up to the end of its last page; 0 otherwise
			   */
	const struct page_copy_run *runs;
	size_t nr_runs;
	int out_fd; /* borrowed; the first byte goes to offset 0 */
	/* Instead of out_fd: takes the bytes in order. nr_threads has to be 1. */
	int (*sink)(void *arg, const void *data, size_t len);
	void *sink_arg;
	unsigned int nr_threads; /* at least 1; 1: all in the caller */
	size_t buffer_size;	 /* multiple of 4096; 0: the one that measured best */
};

/* As many threads as help with `bytes` on this machine. */
unsigned int page_copy_threads(uint64_t bytes);

/*
 * Returns when all is written and all threads are joined. Logged errors: -EFAULT and the like with
 * the address that could not be read (nothing is put in its place), -ENOSPC from the file, ...
 */
int page_copy_run(const struct page_copy *copy);

#endif
