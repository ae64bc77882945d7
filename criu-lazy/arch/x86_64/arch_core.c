// SPDX-License-Identifier: GPL-2.0
#include "arch_core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/user.h>

#include "compel.h"
#include "util/log.h"
#include "xstate.h"

enum {
	USER_DS = 0x2b,
	USER_CS = 0x33,	    /* 64-bit code segment */
	GDT_TLS_FIRST = 12, /* the three entries of set_thread_area(2) */
	GDT_TLS_COUNT = 3,
};

/* The highest address of a 64-bit task with 5-level page tables, plus one. */
static const uint64_t task_size_max = 1ull << 56;

/* Which image field holds a component: all of them are arrays with a count before it. */
struct xsave_field {
	enum xstate_component component;
	const char *name;
	size_t count_offset; /* of size_t n_FIELD in UserX86XsaveEntry */
	size_t data_offset;  /* of the pointer */
	size_t element, count;
};

#define XSAVE_FIELD(component, field, number)                               \
	{                                                                   \
		component, #field, offsetof(UserX86XsaveEntry, n_##field),  \
			offsetof(UserX86XsaveEntry, field),                 \
			sizeof(*((UserX86XsaveEntry *)NULL)->field), number \
	}

static const struct xsave_field xsave_fields[] = {
	XSAVE_FIELD(XSTATE_YMM, ymmh_space, 64),
	XSAVE_FIELD(XSTATE_BNDREGS, bndreg_state, 8),
	XSAVE_FIELD(XSTATE_BNDCSR, bndcsr_state, 8),
	XSAVE_FIELD(XSTATE_OPMASK, opmask_reg, 8),
	XSAVE_FIELD(XSTATE_ZMM_UPPER, zmm_upper, 64),
	XSAVE_FIELD(XSTATE_HI16_ZMM, hi16_zmm, 128),
	XSAVE_FIELD(XSTATE_PKRU, pkru, 2),
};
enum { XSAVE_FIELDS = sizeof(xsave_fields) / sizeof(xsave_fields[0]) };

static size_t xsave_field_size(const struct xsave_field *field)
{
	return field->element * field->count;
}

static uint64_t xsave_known_components(void)
{
	uint64_t mask = 1u << XSTATE_X87 | 1u << XSTATE_SSE;

	for (int i = 0; i < XSAVE_FIELDS; i++)
		mask |= 1ull << xsave_fields[i].component;
	return mask;
}

static void *copy_of(const void *data, size_t size)
{
	void *copy = malloc(size);

	if (copy)
		memcpy(copy, data, size);
	return copy;
}

/* Of the GDT's set_thread_area(2) entries or an LDT, neither of which an image holds. */
static bool is_own_segment(uint64_t selector)
{
	return selector > 3 && selector != USER_DS && selector != USER_CS;
}

/* ---- to the image ------------------------------------------------------- */

static ThreadInfoX86 *core_thread_info(CoreEntry *core)
{
	ThreadInfoX86 *info = core->thread_info;

	if (info)
		return info;
	info = malloc(sizeof(*info));
	if (!info)
		return NULL;
	thread_info_x86__init(info);
	info->gpregs = malloc(sizeof(*info->gpregs));
	info->fpregs = malloc(sizeof(*info->fpregs));
	if (!info->gpregs || !info->fpregs) {
		free(info->gpregs);
		free(info->fpregs);
		free(info);
		return NULL;
	}
	user_x86_regs_entry__init(info->gpregs);
	user_x86_fpregs_entry__init(info->fpregs);
	core->mtype = CORE_ENTRY__MARCH__X86_64;
	core->thread_info = info;
	return info;
}

static void gpregs_to_image(const struct user_regs_struct *regs, UserX86RegsEntry *out)
{
	out->r15 = regs->r15;
	out->r14 = regs->r14;
	out->r13 = regs->r13;
	out->r12 = regs->r12;
	out->bp = regs->rbp;
	out->bx = regs->rbx;
	out->r11 = regs->r11;
	out->r10 = regs->r10;
	out->r9 = regs->r9;
	out->r8 = regs->r8;
	out->ax = regs->rax;
	out->cx = regs->rcx;
	out->dx = regs->rdx;
	out->si = regs->rsi;
	out->di = regs->rdi;
	out->orig_ax = regs->orig_rax;
	out->ip = regs->rip;
	out->cs = regs->cs;
	out->flags = regs->eflags;
	out->sp = regs->rsp;
	out->ss = regs->ss;
	out->fs_base = regs->fs_base;
	out->gs_base = regs->gs_base;
	out->ds = regs->ds;
	out->es = regs->es;
	out->fs = regs->fs;
	out->gs = regs->gs;
	out->has_mode = true;
	out->mode = USER_X86_REGS_MODE__NATIVE;
}

static int fxsave_to_image(const struct xstate_fxsave *fx, UserX86FpregsEntry *out)
{
	free(out->st_space);
	free(out->xmm_space);
	out->cwd = fx->cwd;
	out->swd = fx->swd;
	out->twd = fx->twd;
	out->fop = fx->fop;
	out->rip = fx->rip;
	out->rdp = fx->rdp;
	out->mxcsr = fx->mxcsr;
	out->mxcsr_mask = fx->mxcsr_mask;
	out->st_space = copy_of(fx->st_space, sizeof(fx->st_space));
	out->xmm_space = copy_of(fx->xmm_space, sizeof(fx->xmm_space));
	if (!out->st_space || !out->xmm_space)
		return -ENOMEM;
	out->n_st_space = 32;
	out->n_xmm_space = 64;
	return 0;
}

static int xsave_to_image(const struct compel_context *ctx, UserX86FpregsEntry *out)
{
	const struct xstate_layout *layout = xstate_layout_get();
	UserX86XsaveEntry *xsave = malloc(sizeof(*xsave));
	uint64_t xstate_bv;

	if (!xsave)
		return -ENOMEM;
	user_x86_xsave_entry__init(xsave);
	if (out->xsave)
		user_x86_xsave_entry__free_unpacked(out->xsave, NULL);
	out->xsave = xsave;

	memcpy(&xstate_bv, ctx->fpu + XSTATE_LEGACY_SIZE, sizeof(xstate_bv));
	if (xstate_bv & ~xsave_known_components()) {
		log_err("a thread uses extended state 0x%llx that images have no field for",
			(unsigned long long)(xstate_bv & ~xsave_known_components()));
		return -EOPNOTSUPP;
	}
	xsave->xstate_bv = xstate_bv;

	for (int i = 0; i < XSAVE_FIELDS; i++) {
		const struct xsave_field *field = &xsave_fields[i];
		size_t size = xsave_field_size(field);
		uint32_t offset = layout->component[field->component].offset;
		void *data;

		if (!layout->component[field->component].size)
			continue;
		if (layout->component[field->component].size < size ||
		    offset + size > ctx->fpu_size)
			return log_ret(-EINVAL,
				       "extended state %s lies outside the %zu bytes given",
				       field->name, ctx->fpu_size);
		data = copy_of(ctx->fpu + offset, size);
		if (!data)
			return -ENOMEM;
		*(void **)((char *)xsave + field->data_offset) = data;
		*(size_t *)((char *)xsave + field->count_offset) = field->count;
	}
	return 0;
}

/* Tools expect the three GDT slots; a 64-bit thread keeps its TLS in fs_base and has them empty. */
static int tls_to_image(ThreadInfoX86 *info)
{
	if (info->tls)
		return 0;
	info->tls = calloc(GDT_TLS_COUNT, sizeof(*info->tls));
	if (!info->tls)
		return -ENOMEM;
	for (int i = 0; i < GDT_TLS_COUNT; i++) {
		UserDescT *desc = malloc(sizeof(*desc));

		if (!desc)
			return -ENOMEM;
		user_desc_t__init(desc);
		desc->entry_number = GDT_TLS_FIRST + i;
		desc->read_exec_only = true;
		desc->seg_not_present = true;
		info->tls[info->n_tls++] = desc;
	}
	return 0;
}

int arch_core_from_context(const struct compel_context *ctx, CoreEntry *core)
{
	ThreadInfoX86 *info = core_thread_info(core);
	struct user_regs_struct regs;
	int ret;

	if (!info)
		return -ENOMEM;
	if (ctx->fpu_size < XSTATE_LEGACY_SIZE || ctx->fpu_size > sizeof(ctx->fpu))
		return log_ret(-EINVAL, "extended state of %zu bytes", ctx->fpu_size);

	memcpy(&regs, ctx->regs, sizeof(regs));
	if (is_own_segment(regs.ds) || is_own_segment(regs.es) || is_own_segment(regs.fs) ||
	    is_own_segment(regs.gs))
		return log_ret(-EOPNOTSUPP,
			       "a thread uses a segment of set_thread_area or modify_ldt");
	gpregs_to_image(&regs, info->gpregs);
	ret = fxsave_to_image((const struct xstate_fxsave *)ctx->fpu, info->fpregs);
	if (!ret && ctx->fpu_size >= XSTATE_MIN_SIZE)
		ret = xsave_to_image(ctx, info->fpregs);
	if (!ret)
		ret = tls_to_image(info);
	return ret;
}

/* ---- from the image ----------------------------------------------------- */

static int gpregs_from_image(const UserX86RegsEntry *in, struct user_regs_struct *regs)
{
	if (in->has_mode && in->mode != USER_X86_REGS_MODE__NATIVE)
		return log_ret(-EOPNOTSUPP, "core image: 32-bit tasks cannot be restored");
	if (in->cs != USER_CS)
		return log_ret(-EINVAL, "core image: code segment 0x%llx is not a 64-bit one",
			       (unsigned long long)in->cs);
	if (is_own_segment(in->ds) || is_own_segment(in->es) || is_own_segment(in->fs) ||
	    is_own_segment(in->gs))
		return log_ret(-EOPNOTSUPP,
			       "core image: a segment of set_thread_area or modify_ldt is in use");
	if (in->fs_base >= task_size_max || in->gs_base >= task_size_max)
		return log_ret(-EINVAL, "core image: segment base 0x%llx or 0x%llx is no address",
			       (unsigned long long)in->fs_base, (unsigned long long)in->gs_base);
	if (in->ip >= task_size_max && (in->ip >> 12) != 0xffffffffff600ull)
		return log_ret(-EINVAL, "core image: instruction pointer 0x%llx is no address",
			       (unsigned long long)in->ip);

	*regs = (struct user_regs_struct){
		.r15 = in->r15,
		.r14 = in->r14,
		.r13 = in->r13,
		.r12 = in->r12,
		.rbp = in->bp,
		.rbx = in->bx,
		.r11 = in->r11,
		.r10 = in->r10,
		.r9 = in->r9,
		.r8 = in->r8,
		.rax = in->ax,
		.rcx = in->cx,
		.rdx = in->dx,
		.rsi = in->si,
		.rdi = in->di,
		/* Not in a system call: what was to be restarted was arranged at the dump. */
		.orig_rax = -1ull,
		.rip = in->ip,
		.cs = in->cs,
		.eflags = in->flags,
		.rsp = in->sp,
		.ss = in->ss,
		.fs_base = in->fs_base,
		.gs_base = in->gs_base,
		.ds = in->ds,
		.es = in->es,
		.fs = in->fs,
		.gs = in->gs,
	};
	return 0;
}

static int fxsave_from_image(const UserX86FpregsEntry *in, struct xstate_fxsave *fx)
{
	if (in->n_st_space != 32 || in->n_xmm_space != 64)
		return log_ret(-EINVAL,
			       "core image: %zu words of st_space, %zu of xmm_space (32, 64)",
			       in->n_st_space, in->n_xmm_space);
	if ((in->cwd | in->swd | in->twd | in->fop) > UINT16_MAX || in->mxcsr > UINT16_MAX)
		return log_ret(-EINVAL, "core image: a floating-point control word is too wide");

	fx->cwd = in->cwd;
	fx->swd = in->swd;
	fx->twd = in->twd;
	fx->fop = in->fop;
	fx->rip = in->rip;
	fx->rdp = in->rdp;
	fx->mxcsr = in->mxcsr;
	fx->mxcsr_mask = in->mxcsr_mask;
	memcpy(fx->st_space, in->st_space, sizeof(fx->st_space));
	memcpy(fx->xmm_space, in->xmm_space, sizeof(fx->xmm_space));
	return 0;
}

static int xsave_field_from_image(const UserX86XsaveEntry *xsave, const struct xsave_field *field,
				  struct compel_context *ctx)
{
	const struct xstate_layout *layout = xstate_layout_get();
	const void *data = *(void *const *)((const char *)xsave + field->data_offset);
	size_t count = *(const size_t *)((const char *)xsave + field->count_offset);
	size_t size = xsave_field_size(field);
	bool is_used = xsave->xstate_bv & 1ull << field->component;

	if (count && count != field->count)
		return log_ret(-EINVAL, "core image: %zu words of %s, not %zu", count, field->name,
			       field->count);
	if (is_used && !count)
		return log_ret(-EINVAL, "core image: %s is in use but missing", field->name);
	if (is_used && layout->component[field->component].size < size)
		return log_ret(-EOPNOTSUPP,
			       "core image: this CPU or kernel has no %s, which is in use",
			       field->name);
	if (count && layout->component[field->component].size >= size)
		memcpy(ctx->fpu + layout->component[field->component].offset, data, size);
	return 0;
}

static int xsave_from_image(const UserX86XsaveEntry *xsave, struct compel_context *ctx)
{
	uint64_t unknown = xsave->xstate_bv & ~xsave_known_components();

	if (unknown)
		return log_ret(-EOPNOTSUPP, "core image: extended state 0x%llx is not known",
			       (unsigned long long)unknown);
	if (xsave->cet && xsave->cet->cet)
		return log_ret(-EOPNOTSUPP, "core image: shadow stacks cannot be restored");

	for (int i = 0; i < XSAVE_FIELDS; i++) {
		int ret = xsave_field_from_image(xsave, &xsave_fields[i], ctx);

		if (ret)
			return ret;
	}
	memcpy(ctx->fpu + XSTATE_LEGACY_SIZE, &xsave->xstate_bv, sizeof(xsave->xstate_bv));
	return 0;
}

static int tls_check(const ThreadInfoX86 *info)
{
	for (size_t i = 0; i < info->n_tls; i++)
		if (info->tls[i]->usable || !info->tls[i]->seg_not_present)
			return log_ret(-EOPNOTSUPP,
				       "core image: GDT entry %u of set_thread_area is in use",
				       info->tls[i]->entry_number);
	return 0;
}

int arch_core_to_context(const CoreEntry *core, struct compel_context *ctx)
{
	const uint64_t legacy = 1u << XSTATE_X87 | 1u << XSTATE_SSE;
	const struct xstate_layout *layout = xstate_layout_get();
	const ThreadInfoX86 *info = core->thread_info;
	struct user_regs_struct regs;
	int ret;

	if (core->mtype != CORE_ENTRY__MARCH__X86_64 || !info)
		return log_ret(-EOPNOTSUPP, "core image: not of x86-64 (architecture %d)",
			       core->mtype);
	if (layout->size > sizeof(ctx->fpu))
		return log_ret(-EOPNOTSUPP, "this CPU's extended state takes %zu bytes",
			       layout->size);

	memset(ctx->fpu, 0, layout->size);
	ctx->fpu_size = layout->size;
	ret = tls_check(info);
	if (!ret)
		ret = gpregs_from_image(info->gpregs, &regs);
	if (!ret)
		ret = fxsave_from_image(info->fpregs, (struct xstate_fxsave *)ctx->fpu);
	if (ret)
		return ret;
	memset(ctx->regs, 0, sizeof(ctx->regs));
	memcpy(ctx->regs, &regs, sizeof(regs));

	if (layout->size < XSTATE_MIN_SIZE && info->fpregs->xsave &&
	    info->fpregs->xsave->xstate_bv & ~legacy)
		return log_ret(-EOPNOTSUPP, "core image: this CPU has no extended state");
	if (layout->size < XSTATE_MIN_SIZE)
		return 0;
	if (info->fpregs->xsave)
		return xsave_from_image(info->fpregs->xsave, ctx);
	memcpy(ctx->fpu + XSTATE_LEGACY_SIZE, &legacy, sizeof(legacy));
	return 0;
}

int arch_core_set_clear_tid(CoreEntry *core, uint64_t addr)
{
	ThreadInfoX86 *info = core_thread_info(core);

	if (!info)
		return -ENOMEM;
	info->clear_tid_addr = addr;
	return 0;
}

uint64_t arch_core_clear_tid(const CoreEntry *core)
{
	return core->thread_info ? core->thread_info->clear_tid_addr : 0;
}

uint64_t arch_core_ip(const CoreEntry *core)
{
	return core->thread_info && core->thread_info->gpregs ? core->thread_info->gpregs->ip : 0;
}
