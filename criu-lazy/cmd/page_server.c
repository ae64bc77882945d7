// SPDX-License-Identifier: GPL-2.0
#include "cmd/command.h"
#include "transport/page_server.h"

static int page_server_command_run(const struct options *opts)
{
	return page_server_run(opts) ? 1 : 0;
}

const struct command command_page_server = {
	.name = "page-server",
	.summary = "receive pages of a dump, or serve those of images",
	.uses_images = true,
	.run = page_server_command_run,
};
