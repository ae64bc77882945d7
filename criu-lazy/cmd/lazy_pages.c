// SPDX-License-Identifier: GPL-2.0
#include "cmd/command.h"
#include "lazy/control.h"
#include "lazy/lazyd.h"

static int lazy_pages_command_run(const struct options *opts)
{
	return (opts->recover ? control_recover(opts) : lazyd_run(opts)) ? 1 : 0;
}

const struct command command_lazy_pages = {
	.name = "lazy-pages",
	.summary = "bring memory to lazily restored processes",
	.uses_images = true,
	.run = lazy_pages_command_run,
};
