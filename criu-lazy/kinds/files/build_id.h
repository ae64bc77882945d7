/* SPDX-License-Identifier: GPL-2.0 */
/* The build id of an ELF file: tells a rebuilt program or library of the same size from the old
 * one. */
#ifndef KINDS_FILES_BUILD_ID_H
#define KINDS_FILES_BUILD_ID_H

#include <stddef.h>
#include <stdint.h>

enum { BUILD_ID_WORDS = 16 };

/*
 * Reads the NT_GNU_BUILD_ID note of the 64-bit ELF file behind fd (readable; its position is left
 * alone) as little-endian words. *count is 0 for files that are no ELF or have none. Hostile
 * headers are not followed beyond a few hundred KiB. 0, or a negative errno when reading fails.
 */
int build_id_read(int fd, uint32_t words[BUILD_ID_WORDS], size_t *count);

#endif
