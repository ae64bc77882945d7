// SPDX-License-Identifier: GPL-2.0
#include "lazy/advice.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/scope.h"

#define PAGE_MASK 4095ull

enum { ROUNDS_MAX = 1000, ROUND_US = 100 };

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

static bool is_removal(uint64_t advice)
{
	return advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED || advice == MADV_FREE ||
	       advice == MADV_REMOVE;
}

/* Calls that queue an event of another kind: what is pending may be theirs. */
static bool is_other_change(long number)
{
	switch (number) {
	case SYS_clone:
	case SYS_clone3:
#ifdef SYS_fork
	case SYS_fork:
	case SYS_vfork:
#endif
	case SYS_mremap:
	case SYS_munmap:
	case SYS_mmap:
	case SYS_brk:
	case SYS_shmat:
	case SYS_shmdt:
		return true;
	default:
		return false;
	}
}

/* "NR 0xARG0 0xARG1 0xARG2 ...", or "running", or "-1 0xSP 0xPC" outside of a system call. */
void advice_parse(const char *line, struct advice_calls *out)
{
	uint64_t start, len, advice;
	long number;

	if (sscanf(line, "%ld 0x%" SCNx64 " 0x%" SCNx64 " 0x%" SCNx64, &number, &start, &len,
		   &advice) != 4)
		return;
	out->has_others |= is_other_change(number);
	if (number != SYS_madvise || !is_removal(advice) || out->count == ADVICE_CALLS_MAX)
		return;
	out->calls[out->count].start = start;
	out->calls[out->count].end = (start + len + PAGE_MASK) & ~PAGE_MASK;
	out->calls[out->count++].advice = (int)advice;
}

static void scan(pid_t pid, struct advice_calls *out)
{
	scoped_dir DIR *dir = NULL;
	struct dirent *entry;
	char path[64];

	out->count = 0;
	out->has_others = false;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		scoped_fd int fd = -1;
		char line[256];
		ssize_t len;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%.20s/syscall", entry->d_name);
		fd = openat(dirfd(dir), path, O_RDONLY | O_CLOEXEC);
		len = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);
		if (len <= 0)
			continue;
		line[len] = '\0';
		advice_parse(line, out);
	}
}

void advice_scan(pid_t pid, struct advice_calls *out)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		scan(pid, out);
		if (out->count || out->has_others)
			return;
		usleep(ROUND_US);
	}
}

int advice_of(const struct advice_calls *calls, uint64_t start, uint64_t end)
{
	int found = -1;

	for (size_t i = 0; i < calls->count; i++) {
		if (start < calls->calls[i].start || end > calls->calls[i].end)
			continue;
		if (found >= 0 && found != calls->calls[i].advice)
			return -1;
		found = calls->calls[i].advice;
	}
	return found;
}
