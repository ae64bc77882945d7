// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

static compel_log_fn log_hook;

void compel_set_log(compel_log_fn fn)
{
	log_hook = fn;
}

static void log_tell(bool is_error, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void log_tell(bool is_error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_hook(is_error, fmt, args);
	va_end(args);
}

void compel_debug(const char *fmt, ...)
{
	va_list args;

	if (!log_hook)
		return;
	va_start(args, fmt);
	log_hook(false, fmt, args);
	va_end(args);
}

int compel_fail(int err, const char *fmt, ...)
{
	char text[256];
	va_list args;

	if (!log_hook)
		return err;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_tell(true, "%s: %s", text, strerror(-err));
	return err;
}
