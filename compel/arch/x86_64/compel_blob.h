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

/*
 * Loads the registers stored at `at`, 18 of them in the order of arch_go_on_regs(), and goes on
 * there; no stack is used but the memory at `at`. The last jump finds its target without any
 * register: `at` must be 4096 + 56 bytes behind blob_entry.
 */
__attribute__((noreturn)) static inline void blob_go_on(const uint64_t *at)
{
	__asm__ volatile("lea 120(%0), %%rsp\n\t"
			 "popfq\n\t"
			 "mov %0, %%rdi\n\t"
			 "mov 0(%%rdi), %%r15\n\t"
			 "mov 8(%%rdi), %%r14\n\t"
			 "mov 16(%%rdi), %%r13\n\t"
			 "mov 24(%%rdi), %%r12\n\t"
			 "mov 32(%%rdi), %%rbp\n\t"
			 "mov 40(%%rdi), %%rbx\n\t"
			 "mov 48(%%rdi), %%r11\n\t"
			 "mov 56(%%rdi), %%r10\n\t"
			 "mov 64(%%rdi), %%r9\n\t"
			 "mov 72(%%rdi), %%r8\n\t"
			 "mov 80(%%rdi), %%rax\n\t"
			 "mov 88(%%rdi), %%rcx\n\t"
			 "mov 96(%%rdi), %%rdx\n\t"
			 "mov 104(%%rdi), %%rsi\n\t"
			 "mov 128(%%rdi), %%rsp\n\t"
			 "mov 112(%%rdi), %%rdi\n\t"
			 "jmp *blob_entry + 4096 + 56 + 136(%%rip)"
			 :
			 : "r"(at)
			 : "memory");
	__builtin_unreachable();
}

#endif
