/* SPDX-License-Identifier: GPL-2.0 */
/* Small questions and settings on a descriptor of our own: a duplicate or a master. */
#ifndef KINDS_OWN_FD_H
#define KINDS_OWN_FD_H

#include <stdint.h>

#include "util/text.h"

/* /proc/self/fdinfo/FD. Not logged. */
int own_fdinfo(int fd, struct text *text);
/* fcntl(F_SETFL): O_NONBLOCK, O_APPEND, O_ASYNC, O_DIRECT, O_NOATIME as in flags. -1 and errno. */
int own_fd_set_flags(int fd, uint32_t flags);
/* "/proc/self/fd/FD". */
struct own_fd_path {
	char text[32];
};
struct own_fd_path own_fd_path(int fd);

#endif
