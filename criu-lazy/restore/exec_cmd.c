// SPDX-License-Identifier: GPL-2.0
#include "restore/exec_cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/log.h"
#include "util/scope.h"

static bool is_program(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

static int search(const char *name, char **path)
{
	const char *dirs = getenv("PATH");

	for (dirs = dirs ?: "/bin:/usr/bin"; dirs; dirs = strchr(dirs, ':')) {
		scoped_free char *candidate = NULL;
		int len;

		dirs += *dirs == ':';
		len = (int)strcspn(dirs, ":");
		if (asprintf(&candidate, "%.*s%s%s", len, dirs, len ? "/" : "", name) < 0)
			return -ENOMEM;
		if (is_program(candidate)) {
			*path = take_ptr(candidate);
			return 0;
		}
	}
	return -ENOENT;
}

int exec_cmd_find(const struct options *opts, char **path)
{
	const char *name = opts->exec_cmd ? opts->exec_cmd[0] : NULL;
	int ret;

	*path = NULL;
	if (!opts->want_exec_cmd)
		return 0;
	if (!name)
		return log_ret(-EINVAL, "--exec-cmd: no command after --");
	if (opts->restore_sibling)
		return log_ret(-EINVAL, "--exec-cmd makes us the parent of the restored root, "
					"--restore-sibling our parent");
	if (!strchr(name, '/'))
		ret = search(name, path);
	else if (is_program(name))
		ret = (*path = strdup(name)) ? 0 : -ENOMEM;
	else
		ret = -ENOENT;
	return ret ? log_ret(ret, "--exec-cmd: %s", name) : 0;
}

int exec_cmd_run(const struct options *opts, const char *path)
{
	execv(path, opts->exec_cmd);
	return log_errno("--exec-cmd: %s", path);
}
