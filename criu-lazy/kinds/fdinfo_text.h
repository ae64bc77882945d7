/* SPDX-License-Identifier: GPL-2.0 */
/* The text of /proc/PID/fdinfo/N (proc(5)). Pure. */
#ifndef KINDS_FDINFO_TEXT_H
#define KINDS_FDINFO_TEXT_H

#include <stdbool.h>
#include <stdint.h>

struct fdinfo_common {
	uint64_t pos;
	uint32_t flags; /* without O_CLOEXEC */
	int mnt_id;
	bool cloexec;
};

/* The fields every fdinfo has; -EBADMSG if pos or flags is missing or no number. */
int fdinfo_parse_common(const char *text, struct fdinfo_common *out);
/* The text after "NAME:" and blanks on a line of its own, up to the end of text; NULL if there
 * is no such line. Call again with the result to find the next one. */
const char *fdinfo_field(const char *text, const char *name);
/* The number in a field, in base 8, 10 or 16; false if it is absent or no number. */
bool fdinfo_number(const char *text, const char *name, int base, uint64_t *out);

#endif
