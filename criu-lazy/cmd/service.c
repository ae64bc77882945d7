// SPDX-License-Identifier: GPL-2.0
#include <sys/socket.h>

#include "cmd/command.h"
#include "options/values.h"
#include "rpc/rpc.h"
#include "util/log.h"

static int service_command_run(const struct options *opts)
{
	return rpc_service(opts) ? 1 : 0;
}

const struct command command_service = {
	.name = "service",
	.summary = "serve RPC clients on a socket",
	.run = service_command_run,
};

static int swrk_command_run(const struct options *opts)
{
	uint64_t fd;

	if (opts->words.count != 1 || value_parse_number(opts->words.items[0], 1 << 20, &fd)) {
		log_err("swrk: which descriptor? swrk FD");
		return 1;
	}
	return rpc_serve(fd) ? 1 : 0;
}

const struct command command_swrk = {
	.name = "swrk",
	.arguments = "FD",
	.summary = "serve one RPC client on an open socket",
	.run = swrk_command_run,
};
