// SPDX-License-Identifier: GPL-2.0
#include "cmd/command.h"
#include "migrate/migrate.h"
#include "migrate/wire.h"

static int migrate_command_run(const struct options *opts)
{
	return migrate_run(opts) ? 1 : 0;
}

const struct command command_migrate = {
	.name = "migrate",
	.arguments = "-t PID --to HOST",
	.summary = "move a process tree to another host",
	.run = migrate_command_run,
};

static int migrate_receive_command_run(const struct options *opts)
{
	return migrate_receive(opts) ? 1 : 0;
}

const struct command command_migrate_receive = {
	.name = MIGRATE_COMMAND,
	.summary = "the other end of migrate, which starts it",
	.run = migrate_receive_command_run,
};
