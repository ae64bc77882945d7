/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What compel must know of x86-64. Every architecture has this header with the
 * same names; regs is the NT_PRSTATUS regset, an array of 64-bit registers.
 */
#ifndef COMPEL_ARCH_H
#define COMPEL_ARCH_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum arch_reg { /* struct user_regs_struct */
		ARCH_R15,
		ARCH_R14,
		ARCH_R13,
		ARCH_R12,
		ARCH_BP,
		ARCH_BX,
		ARCH_R11,
		ARCH_R10,
		ARCH_R9,
		ARCH_R8,
		ARCH_AX,
		ARCH_CX,
		ARCH_DX,
		ARCH_SI,
		ARCH_DI,
		ARCH_ORIG_AX,
		ARCH_IP,
		ARCH_CS,
		ARCH_FLAGS,
		ARCH_SP,
		ARCH_SS,
		ARCH_FS_BASE,
		ARCH_GS_BASE,
		ARCH_DS,
		ARCH_ES,
		ARCH_FS,
		ARCH_GS,
		ARCH_NR_REGS,
};

/* A shorter regset than this is a 32-bit thread's. */
enum { ARCH_REGS_SIZE = ARCH_NR_REGS * 8 };
enum { ARCH_FPU_REGSET = NT_X86_XSTATE };

static const unsigned char arch_syscall_insn[] = { 0x0f, 0x05 };
enum { ARCH_SYSCALL_ALIGN = 1 }; /* where such an instruction can start */

/* Flags a call into fresh code must not inherit: trap, direction, nested task, alignment check. */
static const uint64_t arch_flags_clear = 0x100 | 0x400 | 0x4000 | 0x40000;

static inline uint64_t arch_ip(const uint64_t *regs)
{
	return regs[ARCH_IP];
}

static inline void arch_set_ip(uint64_t *regs, uint64_t ip)
{
	regs[ARCH_IP] = ip;
}

/* Makes regs issue one system call with the instruction at gadget. */
static inline void arch_set_syscall(uint64_t *regs, uint64_t gadget, long nr,
				    const uint64_t args[6])
{
	regs[ARCH_IP] = gadget;
	regs[ARCH_AX] = nr;
	/* Nothing to restart, whatever stop the thread is resumed from. */
	regs[ARCH_ORIG_AX] = -1ull;
	regs[ARCH_FLAGS] &= ~arch_flags_clear;
	regs[ARCH_DI] = args[0];
	regs[ARCH_SI] = args[1];
	regs[ARCH_DX] = args[2];
	regs[ARCH_R10] = args[3];
	regs[ARCH_R8] = args[4];
	regs[ARCH_R9] = args[5];
}

static inline int64_t arch_syscall_ret(const uint64_t *regs)
{
	return regs[ARCH_AX];
}

/* Makes regs enter a function that never returns, on the stack that ends at stack_end. */
static inline void arch_set_call(uint64_t *regs, uint64_t ip, uint64_t stack_end, uint64_t arg)
{
	regs[ARCH_IP] = ip;
	regs[ARCH_SP] = (stack_end & ~15ull) - 8; /* as if a return address had been pushed */
	regs[ARCH_BP] = 0;
	regs[ARCH_DI] = arg;
	regs[ARCH_ORIG_AX] = -1ull;
	regs[ARCH_FLAGS] &= ~arch_flags_clear;
}

/*
 * Whether the registers hold a system call that the kernel would restart or
 * end with -EINTR when the thread leaves this stop (-ERESTARTSYS,
 * -ERESTARTNOINTR, -ERESTARTNOHAND, -ERESTART_RESTARTBLOCK).
 */
static inline bool arch_is_interrupted(const uint64_t *regs)
{
	int64_t err = -(int64_t)regs[ARCH_AX];

	return (int64_t)regs[ARCH_ORIG_AX] >= 0 &&
	       (err == 512 || err == 513 || err == 514 || err == 516);
}

/* Does to such registers what the kernel would without a signal to deliver. */
static inline void arch_emulate_restart(uint64_t *regs)
{
	bool has_block = (int64_t)regs[ARCH_AX] == -516;

	regs[ARCH_IP] -= sizeof(arch_syscall_insn);
	regs[ARCH_AX] = has_block ? 219 /* restart_syscall(2) */ : regs[ARCH_ORIG_AX];
	regs[ARCH_ORIG_AX] = -1ull;
}

/* The registers of a running thread in the order of blob_go_on(). */
static inline void arch_go_on_regs(const uint64_t *regs, uint64_t *out)
{
	static const unsigned char order[] = {
		ARCH_R15, ARCH_R14, ARCH_R13, ARCH_R12,	  ARCH_BP, ARCH_BX,
		ARCH_R11, ARCH_R10, ARCH_R9,  ARCH_R8,	  ARCH_AX, ARCH_CX,
		ARCH_DX,  ARCH_SI,  ARCH_DI,  ARCH_FLAGS, ARCH_SP, ARCH_IP,
	};

	for (size_t i = 0; i < sizeof(order); i++)
		out[i] = regs[order[i]];
}

#endif
