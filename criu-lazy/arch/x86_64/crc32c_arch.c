// SPDX-License-Identifier: GPL-2.0
/*
 * The instruction takes 8 bytes per 3 cycles alone, and 8 bytes per cycle when three sums go on
 * side by side: so long data is summed in three parts, and the sums are put together. Appending n
 * zero bytes to what gave a sum is linear in it, so a table per byte of the sum says what it
 * becomes.
 */
#include <nmmintrin.h>
#include <pthread.h>
#include <string.h>

#include "transport/crc32c.h"

enum { PART = 1360 }; /* bytes, a multiple of 8; three of them are just below a page */

static uint32_t shifted[4][256]; /* a sum with this byte, after PART zero bytes */
static pthread_once_t shifted_once = PTHREAD_ONCE_INIT;

__attribute__((target("sse4.2"))) static void make_shifted(void)
{
	for (unsigned int byte = 0; byte < 4; byte++) {
		for (uint32_t value = 0; value < 256; value++) {
			uint64_t sum = (uint64_t)value << 8 * byte;

			for (int i = 0; i < PART / 8; i++)
				sum = _mm_crc32_u64(sum, 0);
			shifted[byte][value] = (uint32_t)sum;
		}
	}
}

static uint32_t shift(uint32_t sum)
{
	return shifted[0][sum & 0xff] ^ shifted[1][sum >> 8 & 0xff] ^ shifted[2][sum >> 16 & 0xff] ^
	       shifted[3][sum >> 24];
}

static uint64_t word(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

__attribute__((target("sse4.2"))) static uint32_t sum_three(uint32_t sum, const uint8_t *at)
{
	uint64_t a = sum, b = 0, c = 0;

	for (int i = 0; i < PART; i += 8) {
		a = _mm_crc32_u64(a, word(at + i));
		b = _mm_crc32_u64(b, word(at + PART + i));
		c = _mm_crc32_u64(c, word(at + 2 * PART + i));
	}
	return shift(shift((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
}

__attribute__((target("sse4.2"))) bool crc32c_arch(uint32_t crc, const void *data, size_t len,
						   uint32_t *out)
{
	const uint8_t *at = data;

	if (!__builtin_cpu_supports("sse4.2"))
		return false;
	pthread_once(&shifted_once, make_shifted);
	crc = ~crc;
	for (; len >= 3 * PART; len -= 3 * PART, at += 3 * PART)
		crc = sum_three(crc, at);
	for (; len >= 8; len -= 8, at += 8)
		crc = (uint32_t)_mm_crc32_u64(crc, word(at));
	for (; len; len--)
		crc = _mm_crc32_u8(crc, *at++);
	*out = ~crc;
	return true;
}
