// SPDX-License-Identifier: GPL-2.0
#include "tree/compel_log.h"

#include <compel.h>
#include <stdio.h>

#include "util/log.h"

static void __attribute__((format(printf, 2, 0)))
message(bool is_error, const char *fmt, va_list args)
{
	char line[512];

	if (!is_error && log_level() < LOG_LEVEL_DEBUG)
		return;
	vsnprintf(line, sizeof(line), fmt, args);
	if (is_error)
		log_err("%s", line);
	else
		log_debug("%s", line);
}

void compel_log_begin(void)
{
	compel_set_log(message);
}
