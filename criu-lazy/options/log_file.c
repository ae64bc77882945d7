// SPDX-License-Identifier: GPL-2.0
#include "options/log_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "options/options.h"
#include "util/log.h"

int options_open_log(const struct options *opts)
{
	int fd = -1, before = log_fd();

	if (opts->log_file) {
		fd = open(opts->log_file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
			  0600);
		if (fd < 0)
			return log_errno("log file %s", opts->log_file);
	}
	log_setup(fd, opts->verbosity, opts->log_pid);
	if (before >= 0)
		close(before);
	return 0;
}
