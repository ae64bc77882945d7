/* SPDX-License-Identifier: GPL-2.0 */
/* Descriptors as numbers. */
#ifndef UTIL_FDS_H
#define UTIL_FDS_H

#include <stddef.h>

/* Closes every descriptor of the process but those in keep, which is sorted in place; negative ones
 * do not count. 0, or -errno of close_range(2), not logged. */
int fds_close_others(int *keep, size_t count);

#endif
