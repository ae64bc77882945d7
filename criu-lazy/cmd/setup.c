// SPDX-License-Identifier: GPL-2.0
/* What every command does before it runs. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cmd/command.h"
#include "options/parse.h"
#include "options/log_file.h"
#include "util/log.h"
#include "util/scope.h"
#include "version.h"

/* Replaces *dir by its absolute path: the work directory becomes ours before it is used. */
static int make_absolute(char **dir, const char *what)
{
	char *path = realpath(*dir ? *dir : ".", NULL);
	struct stat st;

	if (!path || stat(path, &st))
		return log_errno("%s directory %s", what, *dir ? *dir : ".");
	free(*dir);
	*dir = path;
	if (!S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return log_errno("%s directory %s", what, path);
	}
	return 0;
}

static int enter_work_dir(const struct options *opts)
{
	const char *dir = opts->work_dir ? opts->work_dir : opts->images_dir;

	if (dir && chdir(dir))
		return log_errno("work directory %s", dir);
	return 0;
}

/* Scripts are run from the work directory; their paths were meant from here. */
static int resolve_scripts(struct options *opts)
{
	for (size_t i = 0; i < opts->action_scripts.count; i++) {
		char *path = realpath(opts->action_scripts.items[i], NULL);

		if (!path)
			return log_errno("action script %s", opts->action_scripts.items[i]);
		free(opts->action_scripts.items[i]);
		opts->action_scripts.items[i] = path;
	}
	return 0;
}

/* Meant from here, unless it only exists in the work directory, where criu looks. */
static void resolve_key_files(struct options *opts)
{
	char **files[] = { &opts->tls_cacert, &opts->tls_cacrl, &opts->tls_cert, &opts->tls_key };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *path = *files[i] ? realpath(*files[i], NULL) : NULL;

		if (!path)
			continue;
		free(*files[i]);
		*files[i] = path;
	}
}

int command_setup(const struct command *command, struct options *opts)
{
	struct utsname host;
	int ret = 0;

	if (command->uses_images || opts->images_dir)
		ret = make_absolute(&opts->images_dir, "images");
	if (!ret && opts->work_dir)
		ret = make_absolute(&opts->work_dir, "work");
	if (!ret)
		ret = resolve_scripts(opts);
	resolve_key_files(opts);
	if (!ret)
		ret = enter_work_dir(opts);
	if (!ret)
		ret = options_open_log(opts);
	if (ret || opts->verbosity < LOG_LEVEL_INFO)
		return ret;
	log_info("Version: %s (criu-lazy %s)", CRIU_VERSION, CRIU_LAZY_VERSION);
	if (!uname(&host))
		log_info("Running on %s %s %s %s %s", host.nodename, host.sysname, host.release,
			 host.version, host.machine);
	options_log_accepted(opts);
	return 0;
}
