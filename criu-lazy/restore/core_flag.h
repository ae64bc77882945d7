/* SPDX-License-Identifier: GPL-2.0 */
/* The flag "core dumped" of a dead process, without a core on the host. */
#ifndef RESTORE_CORE_FLAG_H
#define RESTORE_CORE_FLAG_H

/*
 * A process that is about to die of a signal that dumps core, to be a zombie. Afterwards its death
 * is marked with the flag (WCOREDUMP of wait(2)), and the few bytes of its core go to a file system
 * of its own, which ends with it. Where that cannot be (cores are piped to a program, a limit of 0,
 * no right to mount) it dies without a core and without the flag. Never fails.
 */
void core_flag_prepare(void);
/* Its death shall leave no core and have no flag. */
void core_flag_clear(void);

#endif
