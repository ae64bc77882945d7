// SPDX-License-Identifier: GPL-2.0
#include "kinds/own_fd.h"

#include <fcntl.h>
#include <stdio.h>

int own_fdinfo(int fd, struct text *text)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return text_read_at(AT_FDCWD, path, text);
}

int own_fd_set_flags(int fd, uint32_t flags)
{
	return fcntl(fd, F_SETFL, flags & (O_NONBLOCK | O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME));
}

struct own_fd_path own_fd_path(int fd)
{
	struct own_fd_path path;

	snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d", fd);
	return path;
}
