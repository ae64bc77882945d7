/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fuzzer is one file with fuzz_one() and its seeds. `make fuzz` builds it with libFuzzer, where
 * clang is; `make unit` with the small deterministic driver (driver.c), to see that what was found
 * once stays mended.
 */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_seed {
	const void *data;
	size_t len;
};

#define FUZZ_TEXT(text)                \
	{                              \
		text, sizeof(text) - 1 \
	}

/* Ends with len 0. The first bytes may say what the rest is for: that is the fuzzer's matter. */
extern const struct fuzz_seed fuzz_seeds[];

/* Once, before the first input. */
void fuzz_begin(void);
void fuzz_one(const uint8_t *data, size_t len);

/* The entry points of libFuzzer, in terms of these (libfuzzer.c). */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A zero-terminated copy in memory of just that size. */
char *fuzz_string(const uint8_t *data, size_t len);
/* A new directory in /tmp that the process is in afterwards. */
void fuzz_enter_directory(void);
/* Writes name in the directory. */
void fuzz_put_file(const char *name, const void *head, size_t head_len, const void *data,
		   size_t len);

#endif
