// SPDX-License-Identifier: GPL-2.0
#include "options/stage.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/log.h"

static void execute(const struct options *opts, const char *script, const char *stage, pid_t pid)
{
	char text[64];
	sigset_t none;

	/* We may hold all signals; a script must not. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (opts->images_dir_fd >= 0)
		snprintf(text, sizeof(text), "/proc/%d/fd/%d", getppid(), opts->images_dir_fd);
	setenv("CRTOOLS_IMAGE_DIR", opts->images_dir_fd >= 0 ? text : opts->images_dir, 1);
	setenv("CRTOOLS_SCRIPT_ACTION", stage, 1);
	if (pid) {
		snprintf(text, sizeof(text), "%d", pid);
		setenv("CRTOOLS_INIT_PID", text, 1);
	}
	execl("/bin/sh", "sh", "-c", script, NULL);
	_exit(127);
}

static int run_script(const struct options *opts, const char *script, const char *stage, pid_t pid)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		execute(opts, script, stage, pid);
	if (child < 0)
		return log_errno("%s: script %s: fork", stage, script);
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return log_errno("%s: script %s: wait", stage, script);
	}
	if (!status)
		return 0;
	log_err("%s: script %s: %s %d", stage, script,
		WIFEXITED(status) ? "exit status" : "ended by signal",
		WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return -ECANCELED;
}

int stage_reach(const struct options *opts, const char *stage, pid_t pid)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < opts->action_scripts.count; i++)
		ret = run_script(opts, opts->action_scripts.items[i], stage, pid);
	if (!ret && opts->hook)
		ret = opts->hook->call(opts->hook->ctx, stage, pid);
	return ret;
}
