// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "cmd/command.h"
#include "options/parse.h"
#include "util/log.h"
#include "version.h"

static const struct command command_pre_dump = {
	.name = "pre-dump",
	.arguments = "-t PID",
	.summary = "dump memory ahead, the tree keeps running",
	.refusal = "tracking memory changes",
};
static const struct command command_dedup = {
	.name = "dedup",
	.summary = "drop pages that newer images hold again",
	.refusal = "deduplication",
};
static const struct command command_cpuinfo = {
	.name = "cpuinfo",
	.arguments = "dump|check",
	.summary = "write or compare the CPU's features",
	.refusal = "CPU images apart from a dump",
};

static const struct command *const commands[] = {
	/* clang-format off: a row each */
	&command_dump,	  &command_restore, &command_lazy_pages, &command_check,
	&command_service, &command_swrk,    &command_pre_dump,	 &command_page_server,
	&command_dedup,	  &command_cpuinfo, &command_migrate,	 &command_migrate_receive,
	/* clang-format on */
};
enum { COMMANDS_COUNT = sizeof(commands) / sizeof(commands[0]) };

static void print_usage(FILE *out)
{
	fputs("Usage: criu-lazy COMMAND [OPTION]...\n\nCommands:\n", out);
	for (size_t i = 0; i < COMMANDS_COUNT; i++) {
		const char *arguments = commands[i]->arguments;
		char left[64];

		snprintf(left, sizeof(left), "%s%s%s", commands[i]->name, arguments ? " " : "",
			 arguments ? arguments : "");
		fprintf(out, "  %-25s %s%s\n", left, commands[i]->summary,
			commands[i]->run ? "" : " (not supported yet)");
	}
}

static int print_version(void)
{
	printf("Version: %s\ncriu-lazy: %s\n", CRIU_VERSION, CRIU_LAZY_VERSION);
	return 0;
}

static int print_help(void)
{
	print_usage(stdout);
	fputs("\nA flag --NAME is taken back by --no-NAME.\n", stdout);
	options_print_help(stdout);
	return 0;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS_COUNT; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static int run_command(struct options *opts)
{
	const struct command *command;

	if (!opts->command) {
		print_usage(stderr);
		return 1;
	}
	command = find_command(opts->command);
	if (!command) {
		log_err("unknown command: %s (criu-lazy --help lists them)", opts->command);
		return 1;
	}
	if (!command->run) {
		log_err("command %s is not supported yet (%s)", command->name, command->refusal);
		return 1;
	}
	if (command_setup(command, opts))
		return 1;
	return command->run(opts);
}

int main(int argc, char **argv)
{
	__attribute__((cleanup(options_fini))) struct options opts;

	log_setup(-1, LOG_LEVEL_WARN, false);
	options_init(&opts);
	if (options_parse(argc, argv, &opts))
		return 1;
	if (opts.want_version)
		return print_version();
	if (opts.want_help)
		return print_help();
	return run_command(&opts);
}
