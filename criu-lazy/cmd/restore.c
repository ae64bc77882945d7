// SPDX-License-Identifier: GPL-2.0
#include "cmd/command.h"
#include "restore/restore.h"

static int restore_command_run(const struct options *opts)
{
	return restore_run(opts, NULL) ? 1 : 0;
}

const struct command command_restore = {
	.name = "restore",
	.summary = "make a process tree from images",
	.uses_images = true,
	.run = restore_command_run,
};
