// SPDX-License-Identifier: GPL-2.0
#include "kinds/fdinfo_text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char *fdinfo_field(const char *text, const char *name)
{
	size_t len = strlen(name);
	const char *line = text;

	while (line && *line) {
		if (!strncmp(line, name, len) && line[len] == ':') {
			line += len + 1;
			return line + strspn(line, " \t");
		}
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return NULL;
}

bool fdinfo_number(const char *text, const char *name, int base, uint64_t *out)
{
	const char *field = fdinfo_field(text, name);
	char *end;

	if (!field || !isxdigit((unsigned char)*field))
		return false;
	errno = 0;
	*out = strtoull(field, &end, base);
	return !errno && end != field && (!*end || isspace((unsigned char)*end));
}

int fdinfo_parse_common(const char *text, struct fdinfo_common *out)
{
	uint64_t flags, mnt_id;

	if (!fdinfo_number(text, "pos", 10, &out->pos) ||
	    !fdinfo_number(text, "flags", 8, &flags) || flags > UINT32_MAX)
		return -EBADMSG;
	out->cloexec = flags & O_CLOEXEC;
	out->flags = flags & ~(uint64_t)O_CLOEXEC;
	out->mnt_id = -1;
	if (fdinfo_number(text, "mnt_id", 10, &mnt_id) && mnt_id <= INT_MAX)
		out->mnt_id = mnt_id;
	return 0;
}
