/* SPDX-License-Identifier: GPL-2.0 */
/* System calls without a C library, for code that runs inside tasks. x86-64. */
#ifndef COMPEL_BLOB_H
#define COMPEL_BLOB_H

#include <stdint.h>

/*
 * Code that includes this first keeps off the extended registers, which are
 * saved for it only when a caller's blob is run.
 */
#define COMPEL_GENERAL_REGS_ONLY _Pragma("GCC target(\"general-regs-only\")")

static inline int64_t blob_syscall(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
				   uint64_t e, uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	int64_t ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#endif
