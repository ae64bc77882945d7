/* SPDX-License-Identifier: GPL-2.0 */
/* The landmarks of an address space in /proc/PID/stat (proc(5), fields 26 to 28 and 45 to 51). */
#ifndef MEM_MM_STAT_H
#define MEM_MM_STAT_H

#include <stdint.h>

struct mm_stat {
	uint64_t start_code, end_code, start_stack;
	uint64_t start_data, end_data, start_brk;
	uint64_t arg_start, arg_end, env_start, env_end;
};

/* -EBADMSG, not logged. */
int mm_stat_parse(const char *text, struct mm_stat *out);
/* proc_fd: an open /proc/PID. Not logged. */
int mm_stat_read(int proc_fd, struct mm_stat *out);

#endif
