// SPDX-License-Identifier: GPL-2.0
#include "mem/mm_stat.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "util/scope.h"

enum { FIELDS = 52 };

int mm_stat_parse(const char *text, struct mm_stat *out)
{
	uint64_t fields[FIELDS] = { 0 };
	/* The name, field 2, may hold anything, so count from its end: field 3 is a letter. */
	const char *at = strrchr(text, ')');
	char *end;

	if (!at || strlen(at) < 4)
		return -EBADMSG;
	at += 3;
	for (int i = 4; i < FIELDS; i++, at = end) {
		fields[i] = strtoull(at, &end, 10);
		if (end == at)
			return -EBADMSG;
	}
	*out = (struct mm_stat){
		.start_code = fields[26],
		.end_code = fields[27],
		.start_stack = fields[28],
		.start_data = fields[45],
		.end_data = fields[46],
		.start_brk = fields[47],
		.arg_start = fields[48],
		.arg_end = fields[49],
		.env_start = fields[50],
		.env_end = fields[51],
	};
	return 0;
}

int mm_stat_read(int proc_fd, struct mm_stat *out)
{
	scoped_fd int fd = openat(proc_fd, "stat", O_RDONLY | O_CLOEXEC);
	char text[2048];
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (len < 0)
		return -errno;
	text[len] = '\0';
	return mm_stat_parse(text, out);
}
