/* SPDX-License-Identifier: GPL-2.0 */
/* Single registers of a compel_context: the order is that of struct user_regs_struct. */
#ifndef ARCH_REGS_H
#define ARCH_REGS_H

#include <compel.h>
#include <stdbool.h>
#include <sys/user.h>

/* core_entry.mtype of this architecture (core.pb-c.h). */
#define ARCH_CORE_MARCH CORE_ENTRY__MARCH__X86_64

static inline struct user_regs_struct *arch_context_regs(const struct compel_context *ctx)
{
	_Static_assert(sizeof(struct user_regs_struct) <= sizeof(ctx->regs), "registers fit");
	return (struct user_regs_struct *)(uintptr_t)ctx->regs;
}

static inline uint64_t arch_context_ip(const struct compel_context *ctx)
{
	return arch_context_regs(ctx)->rip;
}

/* Runs 32-bit code (the code segment says so). */
static inline bool arch_context_is_compat(const struct compel_context *ctx)
{
	return arch_context_regs(ctx)->cs == 0x23;
}

#endif
