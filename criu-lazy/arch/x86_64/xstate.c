// SPDX-License-Identifier: GPL-2.0
#include "xstate.h"

#include <cpuid.h>
#include <pthread.h>

static struct xstate_layout layout;
static pthread_once_t layout_once = PTHREAD_ONCE_INIT;

static uint64_t xstate_read_xcr0(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

static void xstate_layout_ask(void)
{
	uint32_t eax, ebx, ecx, edx;

	layout.size = XSTATE_LEGACY_SIZE;
	layout.enabled = 1u << XSTATE_X87 | 1u << XSTATE_SSE;
	__cpuid(1, eax, ebx, ecx, edx);
	if (!(ecx & bit_OSXSAVE))
		return;

	layout.enabled = xstate_read_xcr0();
	/* EBX: bytes for what XCR0 has switched on, which is the size of the regset. */
	__cpuid_count(0xd, 0, eax, ebx, ecx, edx);
	layout.size = ebx;
	for (int i = XSTATE_YMM; i < XSTATE_MAX; i++) {
		if (!(layout.enabled & 1ull << i))
			continue;
		__cpuid_count(0xd, i, eax, ebx, ecx, edx);
		if (ebx < XSTATE_MIN_SIZE || ebx + eax > layout.size)
			continue;
		layout.component[i].offset = ebx;
		layout.component[i].size = eax;
	}
}

const struct xstate_layout *xstate_layout_get(void)
{
	pthread_once(&layout_once, xstate_layout_ask);
	return &layout;
}
