// SPDX-License-Identifier: GPL-2.0
/* Config files: one `name value` per line, as criu's users have them. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options/parse.h"
#include "options/table.h"
#include "util/log.h"
#include "util/scope.h"

/* Cuts the value out of the rest of a line, in place; NULL if there is none. -EINVAL: bad quotes.
 */
static int take_value(char *rest, char **out)
{
	char *from = rest, *to;

	*out = NULL;
	while (isspace((unsigned char)*from))
		from++;
	if (!*from || *from == '#')
		return 0;
	*out = to = from;
	if (*from != '"') {
		to[strcspn(to, "#\n")] = '\0';
		for (size_t len = strlen(to); len && isspace((unsigned char)to[len - 1]); len--)
			to[len - 1] = '\0';
		return 0;
	}
	for (from++; *from && *from != '"'; from++) {
		if (*from == '\\' && from[1])
			from++;
		*to++ = *from;
	}
	if (*from != '"')
		return -EINVAL;
	*to = '\0';
	from += 1 + strspn(from + 1, " \t\r\n");
	return *from && *from != '#' ? -EINVAL : 0;
}

static int apply_line(char *line, const char *where, struct options *opts)
{
	const struct option_spec *spec;
	char *name = line + strspn(line, " \t\r\n"), *value;
	size_t len = strcspn(name, " \t\r\n#=");
	bool negated;

	if (!len)
		return 0;
	/* Names are exact here: a file outlives the option that makes a prefix ambiguous. */
	if (option_find(name, len, &spec, &negated) || strlen(spec->name) + 3 * negated != len) {
		log_err("%s: unknown option %.*s", where, (int)len, name);
		return -EINVAL;
	}
	if (take_value(name + len + (name[len] == '='), &value)) {
		log_err("%s: option %s: text after or without the closing quote", where,
			spec->name);
		return -EINVAL;
	}
	return option_apply(opts, spec, value, negated, where);
}

int options_read_file(const char *path, struct options *opts)
{
	scoped_file FILE *file = fopen(path, "re");
	scoped_free char *line = NULL;
	char where[512];
	size_t size = 0;
	int ret = 0;

	if (!file && (errno == ENOENT || errno == ENOTDIR))
		return -ENOENT;
	if (!file)
		return log_errno("config file %s", path);
	for (int number = 1; !ret && getline(&line, &size, file) >= 0; number++) {
		snprintf(where, sizeof(where), "%s:%d", path, number);
		ret = apply_line(line, where, opts);
	}
	if (!ret && ferror(file)) {
		errno = EIO;
		return log_errno("config file %s: read", path);
	}
	return ret;
}

int options_read_default_files(struct options *opts)
{
	const char *home = getenv("HOME");
	scoped_free char *path = NULL;
	int ret = options_read_file("/etc/criu/default.conf", opts);

	if ((ret && ret != -ENOENT) || !home || !*home)
		return ret == -ENOENT ? 0 : ret;
	if (asprintf(&path, "%s/.criu/default.conf", home) < 0)
		return -ENOMEM;
	ret = options_read_file(path, opts);
	return ret == -ENOENT ? 0 : ret;
}
