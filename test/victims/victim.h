/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The three acts of a victim. It is started as `victim PREFIX`, sets something up, calls
 * victim_ready(), which returns when the harness says so (in between it may have been dumped and
 * restored, or not), verifies, and calls victim_pass(). Files:
 *     PREFIX.ready   made by the victim: dump me
 *     PREFIX.go      made by the harness: verify
 *     PREFIX.result  "ok", "skip: why" or "fail: why"
 * A victim passes without ever being dumped.
 */
#ifndef VICTIM_H
#define VICTIM_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };

static const char *victim_prefix;

static inline void victim_path(char *path, size_t size, const char *suffix)
{
	snprintf(path, size, "%s.%s", victim_prefix, suffix);
}

static inline void victim_begin(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s PREFIX\n", argv[0]);
		exit(2);
	}
	victim_prefix = argv[1];
}

/* Written under another name first: the harness must not read half a line. */
__attribute__((noreturn, format(printf, 2, 3))) static inline void victim_end(int status,
									      const char *fmt, ...)
{
	char part[512], path[512], text[1024];
	va_list args;
	int fd, len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	victim_path(part, sizeof(part), "result.part");
	victim_path(path, sizeof(path), "result");
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0 || write(fd, text, len) != len || rename(part, path))
		_exit(3);
	close(fd);
	_exit(status);
}

#define victim_pass()	 victim_end(0, "ok\n")
#define victim_skip(...) victim_end(0, "skip: " __VA_ARGS__)
#define victim_fail(fmt, ...) \
	victim_end(1, "fail: %s:%d: " fmt "\n", __FILE__, __LINE__, ##__VA_ARGS__)
/* What must hold, in any act. */
#define require(cond, fmt, ...)                                                                 \
	do {                                                                                    \
		if (!(cond))                                                                    \
			victim_fail("%s: " fmt " (%s)", #cond, ##__VA_ARGS__, strerror(errno)); \
	} while (0)

static inline void victim_sleep_ms(long ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

/* Act two. */
static inline void victim_ready(void)
{
	char path[512];

	/* Without a descriptor, which the harness might see. */
	victim_path(path, sizeof(path), "ready");
	require(!mknod(path, S_IFREG | 0666, 0) || errno == EEXIST, "create %s", path);
	victim_path(path, sizeof(path), "go");
	while (access(path, F_OK))
		victim_sleep_ms(5);
}

/* A file of the victim's own next to PREFIX. */
static inline int victim_open(const char *suffix, int flags)
{
	char path[512];
	int fd;

	victim_path(path, sizeof(path), suffix);
	fd = open(path, flags, 0644);
	require(fd >= 0, "open %s", path);
	return fd;
}

/* ---- memory whose content tells where it belongs ---- */

static inline uint64_t victim_mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

/* Fills len bytes (a multiple of 8) with words made of seed and offset. */
static inline void victim_fill(void *at, size_t len, uint64_t seed)
{
	uint64_t *word = at;

	for (size_t i = 0; i < len / 8; i++)
		word[i] = victim_mix(seed * 0x9e3779b97f4a7c15ULL + i);
}

/* The offset of the first wrong word, or -1. */
static inline long victim_find_damage(const void *at, size_t len, uint64_t seed)
{
	const uint64_t *word = at;

	for (size_t i = 0; i < len / 8; i++)
		if (word[i] != victim_mix(seed * 0x9e3779b97f4a7c15ULL + i))
			return i * 8;
	return -1;
}

#define require_filled(at, len, seed)                                                             \
	do {                                                                                      \
		long damage_ = victim_find_damage(at, len, seed);                                 \
		require(damage_ < 0, "wrong bytes at offset %ld of %zu", damage_, (size_t)(len)); \
	} while (0)

static inline void *victim_map(size_t len, int prot, int flags)
{
	void *at = mmap(NULL, len, prot, flags | MAP_ANONYMOUS, -1, 0);

	require(at != MAP_FAILED, "mmap of %zu bytes", len);
	return at;
}

#endif
