// SPDX-License-Identifier: GPL-2.0
#include "cmd/command.h"
#include "dump/dump.h"
#include "util/log.h"

static int dump_command_run(const struct options *opts)
{
	if (!opts->tree_pid) {
		log_err("dump: which process? -t PID is needed");
		return 1;
	}
	return dump_run(opts) ? 1 : 0;
}

const struct command command_dump = {
	.name = "dump",
	.arguments = "-t PID",
	.summary = "write a process tree to images",
	.uses_images = true,
	.run = dump_command_run,
};
