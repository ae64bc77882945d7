// SPDX-License-Identifier: GPL-2.0
#include "lazy/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "util/scope.h"

/* Linux 6.7 and 6.15; older headers lack them. */
struct scan_args {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_IOCTL    _IOWR('f', 16, struct scan_args)
#define SCAN_IS_GUARD (1ull << 8)

int guard_scan(int pagemap_fd, uint64_t *start, uint64_t end, struct guard_range *out, int room)
{
	struct scan_args args = {
		.size = sizeof(args),
		.start = *start,
		.end = end,
		.vec = (uint64_t)(uintptr_t)out,
		.vec_len = (uint64_t)room,
		.category_mask = SCAN_IS_GUARD,
		.return_mask = SCAN_IS_GUARD,
	};
	int ret = ioctl(pagemap_fd, SCAN_IOCTL, &args);

	if (ret < 0)
		return -errno;
	*start = args.walk_end > *start ? args.walk_end : end;
	return ret;
}

bool guard_scan_works(void)
{
	scoped_fd int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t start = (uint64_t)(uintptr_t)&fd & ~0xfffull;
	struct guard_range range;

	return fd >= 0 && guard_scan(fd, &start, start + 4096, &range, 1) >= 0;
}
