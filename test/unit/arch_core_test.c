// SPDX-License-Identifier: GPL-2.0
/* Thread contexts to a packed core image and back, images that lie, and interrupted calls. */
#include "arch_core.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

#include "compel.h"
#include "unit.h"
#include "xstate.h"

/* ---- a context with every byte of state that this CPU has --------------- */

static void context_fill(struct compel_context *ctx)
{
	const struct xstate_layout *layout = xstate_layout_get();
	struct user_regs_struct *regs = (struct user_regs_struct *)ctx->regs;
	struct xstate_fxsave *fx = (struct xstate_fxsave *)ctx->fpu;
	uint64_t xstate_bv = 3;

	memset(ctx, 0, sizeof(*ctx));
	for (int i = 0; i < 27; i++)
		ctx->regs[i] = 0x1000 + i;
	regs->cs = 0x33;
	regs->ss = 0x2b;
	regs->ds = regs->es = regs->fs = regs->gs = 0;
	regs->orig_rax = -1ull;
	ctx->fpu_size = layout->size;
	for (size_t i = 0; i < sizeof(fx->st_space); i++)
		((uint8_t *)fx->st_space)[i] = i;
	for (size_t i = 0; i < sizeof(fx->xmm_space); i++)
		((uint8_t *)fx->xmm_space)[i] = i * 7;
	fx->cwd = 0x37f;
	fx->mxcsr = 0x1f80;
	fx->mxcsr_mask = 0xffff;
	for (int i = XSTATE_YMM; i < XSTATE_MAX; i++) {
		for (size_t j = 0; j < layout->component[i].size; j++)
			ctx->fpu[layout->component[i].offset + j] = i * 31 + j;
		if (layout->component[i].size)
			xstate_bv |= 1ull << i;
	}
	if (layout->size >= XSTATE_MIN_SIZE)
		memcpy(ctx->fpu + XSTATE_LEGACY_SIZE, &xstate_bv, sizeof(xstate_bv));
}

/* The image's view of ctx, after the bytes went through a file. */
static CoreEntry *core_packed(const struct compel_context *ctx)
{
	CoreEntry *core = malloc(sizeof(*core)), *copy;
	uint8_t *bytes;
	size_t size;

	core_entry__init(core);
	check_eq(arch_core_set_clear_tid(core, 0x7f0012345678), 0);
	check_eq(arch_core_from_context(ctx, core), 0);
	check_eq(arch_core_from_context(ctx, core), 0); /* again: replaces, leaks nothing */
	size = core_entry__get_packed_size(core);
	bytes = malloc(size);
	check(bytes);
	core_entry__pack(core, bytes);
	core_entry__free_unpacked(core, NULL);
	copy = core_entry__unpack(NULL, size, bytes);
	check(copy);
	free(bytes);
	return copy;
}

static void test_round_trip(void)
{
	static struct compel_context in, out;
	CoreEntry *core;

	context_fill(&in);
	core = core_packed(&in);
	check_eq(core->mtype, CORE_ENTRY__MARCH__X86_64);
	check_eq(arch_core_clear_tid(core), 0x7f0012345678);
	memset(&out, 0xaa, sizeof(out));
	out.sigmask = 5;
	check_eq(arch_core_to_context(core, &out), 0);
	check_eq(out.fpu_size, in.fpu_size);
	check_eq(out.sigmask, 5);
	check(memcmp(in.regs, out.regs, sizeof(in.regs)) == 0);
	check(memcmp(in.fpu, out.fpu, in.fpu_size) == 0);
	core_entry__free_unpacked(core, NULL);
}

static void test_unknown_state_is_refused(void)
{
	static struct compel_context ctx;
	CoreEntry core = CORE_ENTRY__INIT, *heap;

	if (xstate_layout_get()->size < XSTATE_MIN_SIZE)
		return;
	context_fill(&ctx);
	ctx.fpu[XSTATE_LEGACY_SIZE + 2] |= 4; /* bit 18: AMX tile data */
	heap = malloc(sizeof(*heap));
	*heap = core;
	check_eq(arch_core_from_context(&ctx, heap), -EOPNOTSUPP);
	core_entry__free_unpacked(heap, NULL);
}

/* ---- hostile images ----------------------------------------------------- */

typedef void (*spoil_fn)(CoreEntry *core);

static void spoil_machine(CoreEntry *core)
{
	core->mtype = CORE_ENTRY__MARCH__AARCH64;
}

static void spoil_code_segment(CoreEntry *core)
{
	core->thread_info->gpregs->cs = 0x23;
}

static void spoil_mode(CoreEntry *core)
{
	core->thread_info->gpregs->mode = USER_X86_REGS_MODE__COMPAT;
}

static void spoil_fs_base(CoreEntry *core)
{
	core->thread_info->gpregs->fs_base = 0xffff800000000000;
}

static void spoil_segment(CoreEntry *core)
{
	core->thread_info->gpregs->gs = 0x63; /* the first entry of set_thread_area(2) */
}

static void spoil_ip(CoreEntry *core)
{
	core->thread_info->gpregs->ip = 1ull << 60;
}

static void spoil_st_space(CoreEntry *core)
{
	core->thread_info->fpregs->n_st_space = 31;
}

static void spoil_xmm_space(CoreEntry *core)
{
	core->thread_info->fpregs->n_xmm_space = 0;
}

static void spoil_mxcsr(CoreEntry *core)
{
	core->thread_info->fpregs->mxcsr = 0x10000;
}

static void spoil_ymm_short(CoreEntry *core)
{
	core->thread_info->fpregs->xsave->n_ymmh_space = 63;
}

static void spoil_ymm_missing(CoreEntry *core)
{
	core->thread_info->fpregs->xsave->xstate_bv |= 1u << XSTATE_YMM;
	core->thread_info->fpregs->xsave->n_ymmh_space = 0;
}

static void spoil_bndregs(CoreEntry *core) /* no CPU of today has them, and it says it is in use */
{
	core->thread_info->fpregs->xsave->xstate_bv |= 1u << XSTATE_BNDREGS;
}

static void spoil_unknown_bit(CoreEntry *core)
{
	core->thread_info->fpregs->xsave->xstate_bv |= 1ull << 62;
}

static void spoil_tls(CoreEntry *core)
{
	core->thread_info->tls[1]->seg_not_present = false;
}

static const struct {
	spoil_fn fn;
	int err;
	bool needs_xsave;
} spoils[] = {
	{ spoil_machine, -EOPNOTSUPP, false }, { spoil_code_segment, -EINVAL, false },
	{ spoil_mode, -EOPNOTSUPP, false },    { spoil_fs_base, -EINVAL, false },
	{ spoil_ip, -EINVAL, false },	       { spoil_st_space, -EINVAL, false },
	{ spoil_xmm_space, -EINVAL, false },   { spoil_mxcsr, -EINVAL, false },
	{ spoil_ymm_short, -EINVAL, true },    { spoil_ymm_missing, -EINVAL, true },
	{ spoil_bndregs, -EINVAL, true },      { spoil_unknown_bit, -EOPNOTSUPP, true },
	{ spoil_tls, -EOPNOTSUPP, false },     { spoil_segment, -EOPNOTSUPP, false },
};

static void test_hostile_images(void)
{
	static struct compel_context ctx, out;

	context_fill(&ctx);
	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
		CoreEntry *core = core_packed(&ctx);

		if (core->thread_info->fpregs->xsave || !spoils[i].needs_xsave) {
			size_t n = core->thread_info->fpregs->xsave
					   ? core->thread_info->fpregs->xsave->n_ymmh_space
					   : 0;

			spoils[i].fn(core);
			if (spoils[i].fn != spoil_bndregs ||
			    !xstate_layout_get()->component[3].size)
				check_eq(arch_core_to_context(core, &out), spoils[i].err);
			core->thread_info->fpregs->n_st_space = 32; /* as allocated, for the free */
			if (n)
				core->thread_info->fpregs->xsave->n_ymmh_space = n;
		}
		core_entry__free_unpacked(core, NULL);
	}
}

/* A component in the image that this CPU lacks is fine as long as it is not in use. */
static void test_unused_component(void)
{
	static struct compel_context in, out;
	UserX86XsaveEntry *xsave;
	CoreEntry *core;

	context_fill(&in);
	core = core_packed(&in);
	xsave = core->thread_info->fpregs->xsave;
	if (xsave && !xsave->n_pkru) {
		xsave->pkru = calloc(2, sizeof(*xsave->pkru));
		xsave->n_pkru = 2;
		check_eq(arch_core_to_context(core, &out), 0);
		xsave->xstate_bv |= 1u << XSTATE_PKRU;
		check_eq(arch_core_to_context(core, &out), -EOPNOTSUPP);
	}
	core_entry__free_unpacked(core, NULL);
}

/* ---- interrupted system calls ------------------------------------------- */

static const uint64_t ip_after = 0x401002;

static struct user_regs_struct restarted(uint64_t nr, int64_t result, uint64_t rsi,
					 enum arch_pending pending)
{
	static struct compel_context ctx;
	struct user_regs_struct *regs = (struct user_regs_struct *)ctx.regs;

	memset(&ctx, 0, sizeof(ctx));
	regs->orig_rax = nr;
	regs->rax = result;
	regs->rip = ip_after;
	regs->rdi = 0x7000;
	regs->rsi = rsi;
	arch_context_fix_restart(&ctx, getpid(), pending);
	return *regs;
}

static bool is_again(const struct user_regs_struct *regs, uint64_t nr)
{
	return regs->rip == ip_after - 2 && regs->rax == nr && regs->orig_rax == -1ull;
}

static bool is_result(const struct user_regs_struct *regs, int64_t result)
{
	return regs->rip == ip_after && (int64_t)regs->rax == result && regs->orig_rax == -1ull;
}

static void test_restart(void)
{
	enum { SYS = -512, NOINTR = -513, NOHAND = -514, BLOCK = -516 };
	struct user_regs_struct r;

	r = restarted(SYS_read, 0, 0, ARCH_PENDING_NONE);
	check(is_result(&r, 0));
	r = restarted(SYS_read, SYS, 0, ARCH_PENDING_NONE);
	check(is_again(&r, SYS_read));
	r = restarted(SYS_read, SYS, 0, ARCH_PENDING_RESTART);
	check(is_again(&r, SYS_read));
	r = restarted(SYS_read, SYS, 0, ARCH_PENDING_HANDLER);
	check(is_result(&r, -EINTR));
	r = restarted(SYS_fork, NOINTR, 0, ARCH_PENDING_HANDLER);
	check(is_again(&r, SYS_fork));
	r = restarted(SYS_pause, NOHAND, 0, ARCH_PENDING_NONE);
	check(is_again(&r, SYS_pause));
	r = restarted(SYS_pause, NOHAND, 0, ARCH_PENDING_RESTART);
	check(is_result(&r, -EINTR));
	r = restarted(SYS_poll, BLOCK, 1, ARCH_PENDING_NONE);
	check(is_again(&r, SYS_poll));
	r = restarted(SYS_poll, BLOCK, 1, ARCH_PENDING_RESTART);
	check(is_result(&r, -EINTR));
	r = restarted(SYS_nanosleep, BLOCK, 0, ARCH_PENDING_NONE);
	check(is_again(&r, SYS_nanosleep));
	r = restarted(SYS_nanosleep, BLOCK, 0x7000, ARCH_PENDING_NONE); /* rem == req */
	check(is_again(&r, SYS_nanosleep));
	r = restarted(SYS_nanosleep, BLOCK, 0x7010, ARCH_PENDING_NONE);
	check(is_result(&r, -EINTR));
	r = restarted(SYS_restart_syscall, BLOCK, 0, ARCH_PENDING_NONE); /* nothing mapped there */
	check(is_result(&r, -EINTR));
	/* Not in a system call: a value that looks like a restart is none. */
	r = restarted(-1ull, SYS, 0, ARCH_PENDING_NONE);
	check(is_result(&r, SYS));
}

/* Stopped twice: the number stands before the instruction. */
static void test_restart_twice(void)
{
	static const uint8_t code[] = { 0xb8, SYS_poll, 0, 0, 0, 0x0f, 0x05 };
	static struct compel_context ctx;
	struct user_regs_struct *regs = (struct user_regs_struct *)ctx.regs;

	regs->orig_rax = SYS_restart_syscall;
	regs->rax = -516;
	regs->rip = (uintptr_t)code + sizeof(code);
	arch_context_fix_restart(&ctx, getpid(), ARCH_PENDING_NONE);
	check_eq(regs->rax, SYS_poll);
	check_eq(regs->rip, (uintptr_t)code + sizeof(code) - 2);
}

int main(void)
{
	test_round_trip();
	test_unknown_state_is_refused();
	test_hostile_images();
	test_unused_component();
	test_restart();
	test_restart_twice();
	return 0;
}
