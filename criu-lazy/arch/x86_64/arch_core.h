/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Thread contexts between compel and the images, x86-64. Every architecture
 * has this header with the same functions; nothing else knows what registers
 * are. Pure: no system call but the one named at arch_context_fix_restart().
 */
#ifndef ARCH_CORE_H
#define ARCH_CORE_H

#include <stdint.h>
#include <sys/types.h>

#include "core.pb-c.h"

struct compel_context;

/*
 * Fills core->mtype and core->thread_info with the registers and the whole
 * extended state of ctx. Dump side, in the dumper. core is an initialised
 * message; what is hung on it comes from malloc() and goes with
 * core_entry__free_unpacked(). A clear_tid address set before is kept. The
 * signal mask is not part of it (thread_core.blk_sigset). -EOPNOTSUPP: the
 * thread uses state that images have no field for (AMX tiles, say).
 */
int arch_core_from_context(const struct compel_context *ctx, CoreEntry *core);

/*
 * The reverse, in the restorer: fills ctx's registers and extended state, not
 * its signal mask. core is from an image and not trusted. -EINVAL: bad image;
 * -EOPNOTSUPP: made for another architecture, or this CPU lacks a feature that
 * is in use.
 */
int arch_core_to_context(const CoreEntry *core, struct compel_context *ctx);

/* The set_tid_address(2) pointer, kept by the images among the registers. */
int arch_core_set_clear_tid(CoreEntry *core, uint64_t addr);
uint64_t arch_core_clear_tid(const CoreEntry *core);

/* Where the thread goes on. 0 if the image has no registers. */
uint64_t arch_core_ip(const CoreEntry *core);

/* What waits to be delivered to the thread before it next runs in user mode. */
enum arch_pending {
	ARCH_PENDING_NONE,    /* nothing that has a handler and is not blocked */
	ARCH_PENDING_HANDLER, /* a signal whose handler lacks SA_RESTART */
	ARCH_PENDING_RESTART, /* a signal whose handler has SA_RESTART */
};

/*
 * A thread stopped in a system call has an in-kernel error (-ERESTART*) as its
 * result, which the kernel would turn into a restart or -EINTR when the thread
 * runs again. An image is restored without that memory, so this does it now,
 * as the kernel would (arch/x86/kernel/signal.c, arch_do_signal_or_restart()),
 * and sets the "in system call" register to -1 so that nothing restarts twice.
 *
 * Only for contexts that go into an image: a thread that continues is given
 * its context unchanged.
 *
 * -ERESTART_RESTARTBLOCK (nanosleep, clock_nanosleep, poll, futex with a
 * timeout): the block with the end of the wait dies with the task. A sleep
 * that told its remainder to another place than its argument returns -EINTR,
 * which such a caller continues from; everything else is issued again with its
 * full timeout, except where the call itself was already restart_syscall(2) (a
 * second stop): then the number is read from the instruction before the call
 * (process_vm_readv(2) on tid), and if it is not there the result is -EINTR.
 */
void arch_context_fix_restart(struct compel_context *ctx, pid_t tid, enum arch_pending pending);

#endif
