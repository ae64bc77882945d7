/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The few instructions blobs need on x86-64: a system call, a thread that starts on a stack of its
 * own, and a jump onto a stack. Legal in hosted code and in blobs.
 */
#ifndef ARCH_BLOB_ARCH_H
#define ARCH_BLOB_ARCH_H

#include <stdint.h>

/* The raw kernel return: a negative errno on failure. */
static inline long arch_syscall(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
				uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

/*
 * clone3(clone_args, size) for a thread. The new thread calls fn(arg), which must not return, on
 * the stack that clone_args names. Returns in the caller only: the tid or a negative errno.
 */
static inline long arch_clone3_thread(void *clone_args, uint64_t size, void (*fn)(void *),
				      void *arg)
{
	register void *r12 __asm__("r12") = arg;
	register void (*r13)(void *) __asm__("r13") = fn;
	long ret;

	__asm__ volatile("syscall\n\t"
			 "testq %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "movq %%r12, %%rdi\n\t"
			 "callq *%%r13\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(ret)
			 : "a"(435L /* clone3 */), "D"(clone_args), "S"(size), "r"(r12), "r"(r13)
			 : "rcx", "r11", "memory");
	return ret;
}

/* Leaves the present stack for good: calls fn(arg), which must not return, below stack_top. */
static inline void __attribute__((noreturn))
arch_call_on_stack(uint64_t fn, uint64_t arg, uint64_t stack_top)
{
	__asm__ volatile("movq %2, %%rsp\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "callq *%0\n\t"
			 "hlt"
			 :
			 : "a"(fn), "D"(arg), "S"(stack_top & ~15ULL)
			 : "memory");
	__builtin_unreachable();
}

/* mmap(2) yields nothing at or above it unless asked to (48-bit address spaces). */
#define ARCH_MAP_TOP 0x7ffffffff000ull

/* An absolute jump to `target`, for the entry of a function: movabs $target, %rax; jmp *%rax. */
#define ARCH_JUMP_BYTES 12

static inline void arch_write_jump(uint8_t *at, uint64_t target)
{
	at[0] = 0x48;
	at[1] = 0xb8;
	for (int i = 0; i < 8; i++)
		at[2 + i] = (uint8_t)(target >> (8 * i));
	at[10] = 0xff;
	at[11] = 0xe0;
}

#endif
