/* SPDX-License-Identifier: GPL-2.0 */
/* lz4 of page data, and whether it pays. */
#ifndef TRANSPORT_COMPRESS_H
#define TRANSPORT_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pure. How long the block is, or 0 if it would not be shorter than `room` bytes. */
size_t lz4_pack(const void *data, size_t len, void *out, size_t room);
/* Pure. Exactly `size` bytes into out from a block that nobody vouches for, or -EBADMSG. */
int lz4_unpack(const void *block, size_t len, void *out, size_t size);

#endif
