/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The xsave area in the standard (not compacted) format, as ptrace's
 * NT_X86_XSTATE gives it: 512 bytes of fxsave, a 64-byte header, then each
 * component at the offset that CPUID leaf 0xd tells for this CPU.
 * Intel SDM volume 1, chapter 13.
 */
#ifndef ARCH_XSTATE_H
#define ARCH_XSTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum xstate_component {
	XSTATE_X87 = 0,
	XSTATE_SSE = 1,
	XSTATE_YMM = 2,
	XSTATE_BNDREGS = 3,
	XSTATE_BNDCSR = 4,
	XSTATE_OPMASK = 5,
	XSTATE_ZMM_UPPER = 6,
	XSTATE_HI16_ZMM = 7,
	XSTATE_PKRU = 9,
	XSTATE_MAX = 10,
};

enum { XSTATE_LEGACY_SIZE = 512, XSTATE_HEADER_SIZE = 64, XSTATE_MIN_SIZE = 576 };

struct xstate_layout {
	uint64_t enabled; /* XCR0: what the kernel has switched on */
	size_t size;	  /* of the whole area for these; 512 without xsave */
	struct {
		uint32_t offset, size; /* size 0: not on this CPU */
	} component[XSTATE_MAX];
};

/* Of the CPU we run on, asked once (CPUID is slow under a hypervisor). */
const struct xstate_layout *xstate_layout_get(void);

struct xstate_fxsave { /* FXSAVE64 */
	uint16_t cwd, swd, twd, fop;
	uint64_t rip, rdp;
	uint32_t mxcsr, mxcsr_mask;
	uint32_t st_space[32];
	uint32_t xmm_space[64];
	uint32_t padding[24];
};
_Static_assert(sizeof(struct xstate_fxsave) == XSTATE_LEGACY_SIZE, "fxsave is 512 bytes");

#endif
