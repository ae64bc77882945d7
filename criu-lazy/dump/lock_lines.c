// SPDX-License-Identifier: GPL-2.0
#include "dump/lock_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_kind(const char *word, enum lock_kind *out)
{
	static const struct {
		const char *name;
		enum lock_kind kind;
	} kinds[] = {
		{ "POSIX", LOCK_KIND_POSIX },  { "FLOCK", LOCK_KIND_FLOCK },
		{ "OFDLCK", LOCK_KIND_OFD },   { "LEASE", LOCK_KIND_LEASE },
		{ "DELEG", LOCK_KIND_OTHER },  { "LAYOUT", LOCK_KIND_OTHER },
		{ "ACCESS", LOCK_KIND_POSIX },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strcmp(word, kinds[i].name)) {
			*out = kinds[i].kind;
			return 0;
		}
	}
	return -EBADMSG;
}

static int parse_type(const char *word)
{
	if (!strcmp(word, "READ"))
		return F_RDLCK;
	return !strcmp(word, "WRITE") ? F_WRLCK : F_UNLCK;
}

int lock_line_parse(const char *line, struct lock_line *out)
{
	char kind[16], mode[16], type[16], end[32];
	int eaten = 0;

	memset(out, 0, sizeof(*out));
	if (sscanf(line, "%*d: %n", &eaten) < 0 || !eaten)
		return -EBADMSG;
	line += eaten;
	while (!strncmp(line, "->", 2) || *line == ' ') {
		out->is_waiting |= *line == '-';
		line += *line == '-' ? 2 : 1;
	}
	if (sscanf(line, "%15s %15s %15s %d %*x:%*x:%" SCNu64 " %" SCNd64 " %31s", kind, mode, type,
		   &out->pid, &out->inode, &out->start, end) != 7)
		return -EBADMSG;
	out->type = parse_type(type);
	out->is_breaking = !strcmp(mode, "BREAKING") || !strcmp(mode, "BREAKER");
	out->len = strcmp(end, "EOF") ? strtoll(end, NULL, 10) - out->start + 1 : 0;
	return parse_kind(kind, &out->kind);
}
