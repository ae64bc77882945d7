/* SPDX-License-Identifier: GPL-2.0 */
/* Lines of /proc/locks, and of "lock:" in fdinfo (proc(5), fs/locks.c): pure parsers. */
#ifndef DUMP_LOCK_LINES_H
#define DUMP_LOCK_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum lock_kind { /* as file_lock_entry.flag */
		 LOCK_KIND_POSIX = 1,
		 LOCK_KIND_FLOCK = 2,
		 LOCK_KIND_OFD = 4,
		 LOCK_KIND_LEASE = 8,
		 LOCK_KIND_OTHER = 16, /* of file servers inside the kernel */
};

struct lock_line {
	enum lock_kind kind;
	int type;  /* F_RDLCK, F_WRLCK, F_UNLCK */
	pid_t pid; /* of who took it; -1 for OFD locks */
	uint64_t inode;
	int64_t start, len; /* len 0: to the end of the file */
	bool is_waiting;    /* "->": somebody waits for the lock above */
	bool is_breaking;   /* a lease that somebody waits for */
};

/* line: from the number on ("1: POSIX  ADVISORY ..."). 0 or -EBADMSG. */
int lock_line_parse(const char *line, struct lock_line *out);

#endif
