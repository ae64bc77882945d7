// SPDX-License-Identifier: GPL-2.0
/*
 * driver [FILE...]: runs the files (what a fuzzer has found), or the seeds and some thousands of
 * damaged copies of them, always the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "util/log.h"

enum { ROUNDS = 2000, INPUT_MAX = 1 << 16, CHANGES_MAX = 8 };

static uint32_t dice(uint32_t sides)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % sides;
}

static uint8_t interesting(void)
{
	static const uint8_t bytes[] = { 0, 1, 0x7f, 0x80, 0xff, '\n', ' ', '"', '-', '9' };

	return dice(2) ? bytes[dice(sizeof(bytes))] : (uint8_t)dice(256);
}

static size_t change(uint8_t *data, size_t len)
{
	size_t at = len ? dice((uint32_t)len) : 0, part;

	switch (len ? dice(5) : 0) {
	case 0: /* a byte more */
		if (len == INPUT_MAX)
			return len;
		memmove(data + at + 1, data + at, len - at);
		data[at] = interesting();
		return len + 1;
	case 1: /* the end is missing */
		return at;
	case 2: /* something is missing */
		part = 1 + dice((uint32_t)(len - at));
		memmove(data + at, data + at + part, len - at - part);
		return len - part;
	case 3:
		data[at] ^= (uint8_t)(1 << dice(8));
		return len;
	default:
		data[at] = interesting();
		return len;
	}
}

/* In memory of just its size, so that a byte beyond it is noticed. */
static void run(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, data, len);
	fuzz_one(copy, len);
	free(copy);
}

static int run_file(const char *path)
{
	static uint8_t data[INPUT_MAX];
	FILE *file = fopen(path, "re");
	size_t len;

	if (!file) {
		perror(path);
		return 1;
	}
	len = fread(data, 1, sizeof(data), file);
	fclose(file);
	run(data, len);
	return 0;
}

static void run_seeds(void)
{
	static uint8_t data[INPUT_MAX];
	size_t count = 0;

	for (; fuzz_seeds[count].len; count++)
		run(fuzz_seeds[count].data, fuzz_seeds[count].len);
	for (int i = 0; i < ROUNDS; i++) {
		const struct fuzz_seed *seed = &fuzz_seeds[dice((uint32_t)count)];
		size_t len = seed->len;

		memcpy(data, seed->data, len);
		for (uint32_t n = 1 + dice(CHANGES_MAX); n; n--)
			len = change(data, len);
		run(data, len);
	}
}

int main(int argc, char **argv)
{
	int ret = 0;

	log_setup(-1, LOG_LEVEL_NONE, false);
	fuzz_begin();
	for (int i = 1; i < argc; i++)
		ret |= run_file(argv[i]);
	if (argc == 1)
		run_seeds();
	return ret;
}
