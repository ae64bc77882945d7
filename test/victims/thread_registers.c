// SPDX-License-Identifier: GPL-2.0
/* Vector and general registers live across a tight loop that never enters the kernel. */
#include "victim.h"

#include <pthread.h>

static volatile int stop;
static long wrong;

#ifdef __x86_64__
static void *spin(void *arg)
{
	double four[4] __attribute__((aligned(32))) = { 1.5, -2.25, 3e300, 4e-300 }, out[4];
	uint64_t general = 0x1122334455667788ULL, seen;

	__asm__ volatile("movupd (%[in]), %%xmm15\n\t"
			 "movupd 16(%[in]), %%xmm6\n\t"
			 "mov %[general], %%r13\n\t"
			 "fldpi\n\t"
			 "1: pause\n\t"
			 "cmpl $0, %[stop]\n\t"
			 "je 1b\n\t"
			 "movupd %%xmm15, (%[out])\n\t"
			 "movupd %%xmm6, 16(%[out])\n\t"
			 "mov %%r13, %[seen]\n\t"
			 "fldpi\n\t"
			 "fcomip %%st(1), %%st\n\t"
			 "fstp %%st(0)\n\t"
			 "je 2f\n\t"
			 "mov $0, %[seen]\n\t"
			 "2:\n\t"
			 : [seen] "=&r"(seen)
			 : [in] "r"(four), [out] "r"(out), [general] "r"(general), [stop] "m"(stop)
			 : "xmm15", "xmm6", "r13", "memory", "cc", "st", "st(1)");
	if (memcmp(four, out, sizeof(four)) || seen != general)
		__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
	return NULL;
}

__attribute__((target("avx512f"))) static void *spin_wide(void *arg)
{
	uint64_t in[8], out[8];

	victim_fill(in, sizeof(in), 7);
	__asm__ volatile("vmovdqu64 (%[in]), %%zmm31\n\t"
			 "mov $0x5a5a, %%eax\n\t"
			 "kmovw %%eax, %%k5\n\t"
			 "1: pause\n\t"
			 "cmpl $0, %[stop]\n\t"
			 "je 1b\n\t"
			 "vmovdqu64 %%zmm31, (%[out])\n\t"
			 "kmovw %%k5, %%eax\n\t"
			 "xor $0x5a5a, %%eax\n\t"
			 "jz 2f\n\t"
			 "movq $0, (%[out])\n\t"
			 "2:\n\t"
			 :
			 : [in] "r"(in), [out] "r"(out), [stop] "m"(stop)
			 : "rax", "memory", "cc", "xmm31", "k5");
	if (memcmp(in, out, sizeof(in)))
		__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
	return NULL;
}

static bool has_wide(void)
{
	return __builtin_cpu_supports("avx512f");
}
#else
static void *spin(void *arg)
{
	volatile double value = 1.0 / 3;

	while (!stop)
		value += 0;
	if (value != 1.0 / 3)
		__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
	return NULL;
}
#define spin_wide spin
static bool has_wide(void)
{
	return false;
}
#endif

int main(int argc, char **argv)
{
	pthread_t narrow, wide;

	victim_begin(argc, argv);
	require(!pthread_create(&narrow, NULL, spin, NULL), "thread");
	require(!pthread_create(&wide, NULL, has_wide() ? spin_wide : spin, NULL), "thread");
	victim_sleep_ms(20);

	victim_ready();

	stop = 1;
	pthread_join(narrow, NULL);
	pthread_join(wide, NULL);
	require(!wrong, "registers of %ld threads changed", wrong);
	victim_pass();
}
