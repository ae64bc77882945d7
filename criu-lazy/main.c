// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "cmd/command.h"

static const struct command *const commands[] = {
	NULL,
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && commands[i]; i++) {
		struct options opts = { .images_dir_fd = -1 };

		if (!strcmp(commands[i]->name, argv[1]))
			return commands[i]->run(&opts);
	}
	fprintf(stderr, "usage: criu-lazy COMMAND [OPTION]...\n");
	return 1;
}
