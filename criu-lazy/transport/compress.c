// SPDX-License-Identifier: GPL-2.0
#include "transport/compress.h"

#include <errno.h>
#include <limits.h>
#include <lz4.h>

size_t lz4_pack(const void *data, size_t len, void *out, size_t room)
{
	int got;

	if (len > LZ4_MAX_INPUT_SIZE || room > INT_MAX || !room)
		return 0;
	got = LZ4_compress_default(data, out, (int)len, (int)room - 1);
	return got > 0 ? (size_t)got : 0;
}

int lz4_unpack(const void *block, size_t len, void *out, size_t size)
{
	if (len > INT_MAX || size > INT_MAX)
		return -EBADMSG;
	return LZ4_decompress_safe(block, out, (int)len, (int)size) == (int)size ? 0 : -EBADMSG;
}
