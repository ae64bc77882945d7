/* SPDX-License-Identifier: GPL-2.0 */
/* Making an old vDSO call a newer one: its entry points become jumps. Pure. */
#ifndef RESTORE_VDSO_PATCH_H
#define RESTORE_VDSO_PATCH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Overwrites each function that `image` (size bytes of an ELF from a dump, not trusted) exports
 * with a jump to the function of the same name in `own` (own_size bytes, the running kernel's),
 * which will be at own_address. 0, -EBADMSG: not a vDSO; -EOPNOTSUPP: *missing names a function
 * that has no match or no room.
 */
int vdso_patch(uint8_t *image, size_t size, const uint8_t *own, size_t own_size,
	       uint64_t own_address, char missing[64]);

#endif
