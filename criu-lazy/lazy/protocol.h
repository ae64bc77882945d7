/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a restored task says to the lazy-pages daemon. Legal in hosted code and
 * in blobs: fixed-width types, no libc.
 *
 * The restorer opens one connection (unix stream, lazy-pages.socket in the work
 * directory) per task. Injected code creates the userfaultfd, which binds to
 * the task's address space, and sends
 *     struct lazy_hello, with the userfaultfd attached (SCM_RIGHTS)
 *     nr_ranges * struct lazy_range      sorted, areas to register
 *     nr_eager  * struct lazy_eager      sorted, pages to fill before the answer
 * The daemon does the UFFDIO_API handshake (UFFD.md 28, 29), registers, fills
 * the eager pages, gives the fd to its supervisor, and answers struct lazy_ack.
 * Nothing of the task's own code runs before. A task without lazy areas sends a
 * hello with nr_ranges 0 and no fd, so that the daemon can count.
 */
#ifndef LAZY_PROTOCOL_H
#define LAZY_PROTOCOL_H

#include <stdint.h>

#define LAZY_SOCKET_NAME "lazy-pages.socket"

enum { LAZY_HELLO_MAGIC = 0x4c7a5031, LAZY_PROTOCOL_VERSION = 1 };

struct lazy_hello {
	uint32_t magic;
	uint32_t version;
	int32_t pid;	       /* image pid: names pagemap-PID.img */
	int32_t host_pid_hint; /* pid in the restorer's namespace, 0 if unknown */
	uint32_t nr_ranges;
	uint32_t nr_eager;
	uint32_t nr_tasks; /* how many hellos this restore sends in all */
	uint32_t flags;	   /* 0 */
};

enum lazy_range_kind {
	LAZY_RANGE_ANON = 1,	/* private anonymous */
	LAZY_RANGE_SHMEM = 2,	/* anonymous shared or SysV segment: pages of pagemap-shmem-SHMID */
	LAZY_RANGE_HUGETLB = 3, /* private anonymous hugetlb: whole huge pages */
};

enum lazy_range_flag {
	LAZY_RANGE_DONTFORK = 1 << 0,
	LAZY_RANGE_WIPEONFORK = 1 << 1,
	LAZY_RANGE_HUGEPAGE = 1 << 2, /* collapse when done: the dump saw huge pages */
};

struct lazy_range {
	uint64_t start, end; /* of the VMA in the task */
	uint32_t kind;
	uint32_t flags;
	uint64_t shmid;	    /* LAZY_RANGE_SHMEM */
	uint64_t pgoff;	    /* LAZY_RANGE_SHMEM: byte offset of start in the segment */
	uint64_t page_size; /* 4096, or the huge page size */
};

struct lazy_eager {
	uint64_t start, end; /* page aligned, inside one range */
};

struct lazy_ack {
	uint32_t magic;
	int32_t status; /* 0, or a negative errno: the restore must fail */
};

_Static_assert(sizeof(struct lazy_hello) == 32, "lazy_hello is a wire format");
_Static_assert(sizeof(struct lazy_range) == 48, "lazy_range is a wire format");
_Static_assert(sizeof(struct lazy_eager) == 16, "lazy_eager is a wire format");
_Static_assert(sizeof(struct lazy_ack) == 8, "lazy_ack is a wire format");

#endif
