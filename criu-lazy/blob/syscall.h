/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Raw system calls, the same in hosted code and in blobs: they return what the kernel returns, a
 * negative errno on failure, and touch no errno. Numbers are from asm/unistd.h.
 */
#ifndef BLOB_SYSCALL_H
#define BLOB_SYSCALL_H

#include <asm/unistd.h>
#include <stdint.h>

#include "blob_arch.h"

#define blob_call0(nr)	     arch_syscall((nr), 0, 0, 0, 0, 0, 0)
#define blob_call1(nr, a)    arch_syscall((nr), (uint64_t)(a), 0, 0, 0, 0, 0)
#define blob_call2(nr, a, b) arch_syscall((nr), (uint64_t)(a), (uint64_t)(b), 0, 0, 0, 0)
#define blob_call3(nr, a, b, c) \
	arch_syscall((nr), (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), 0, 0, 0)
#define blob_call4(nr, a, b, c, d) \
	arch_syscall((nr), (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), 0, 0)

/* Sleeps while *word is `value`; wakes early at will. Works across processes. */
static inline void blob_futex_wait(const uint32_t *word, uint32_t value)
{
	blob_call4(__NR_futex, (uintptr_t)word, 0 /* FUTEX_WAIT */, value, 0);
}

static inline void blob_futex_wake(const uint32_t *word)
{
	blob_call3(__NR_futex, (uintptr_t)word, 1 /* FUTEX_WAKE */, 0x7fffffff);
}

#endif
