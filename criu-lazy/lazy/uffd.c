// SPDX-License-Identifier: GPL-2.0
#include "lazy/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/scope.h"

/* Linux 6.6; older headers lack it. */
struct poison_args {
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated;
};
#define POISON_IOCTL _IOWR(UFFDIO, 0x08, struct poison_args)
/* /dev/userfaultfd, Linux 6.1: asks for a descriptor without the sysctl (UFFD.md 28). */
#define NEW_IOCTL _IO(0xAA, 0x00)

static int result(int ret)
{
	return ret < 0 ? -errno : 0;
}

static int open_uffd(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	scoped_fd int dev = -1;

	if (fd >= 0)
		return fd;
	dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	return dev < 0 ? -1 : ioctl(dev, NEW_IOCTL, O_CLOEXEC | O_NONBLOCK);
}

int uffd_probe_features(uint64_t *features)
{
	struct uffdio_api api = { .api = UFFD_API };
	scoped_fd int fd = open_uffd();

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		return -errno;
	*features = api.features;
	return 0;
}

int uffd_probe_use(uint64_t features)
{
	scoped_fd int fd = open_uffd();

	return fd < 0 ? -errno : uffd_enable(fd, features);
}

int uffd_enable(int uffd, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	return result(ioctl(uffd, UFFDIO_API, &api));
}

int uffd_register(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_register args = {
		.range = { .start = start, .len = end - start },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	return result(ioctl(uffd, UFFDIO_REGISTER, &args));
}

int uffd_wake(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_range range = { .start = start, .len = end - start };

	return result(ioctl(uffd, UFFDIO_WAKE, &range));
}

/* The count the kernel left is progress when positive, an error or untouched otherwise (UFFD.md 8).
 */
static int outcome(int ret, int err, int64_t count, uint64_t len, uint64_t *done)
{
	if (!ret) {
		*done = len;
		return 0;
	}
	*done = count > 0 && (uint64_t)count <= len ? (uint64_t)count : 0;
	return *done == len ? 0 : -err;
}

int uffd_copy(int uffd, uint64_t dst, const void *src, uint64_t len, bool wake, uint64_t *done)
{
	struct uffdio_copy args = {
		.dst = dst,
		.src = (uint64_t)(uintptr_t)src,
		.len = len,
		.mode = wake ? 0 : UFFDIO_COPY_MODE_DONTWAKE,
	};
	int ret = ioctl(uffd, UFFDIO_COPY, &args);

	return outcome(ret, errno, args.copy, len, done);
}

int uffd_zero(int uffd, uint64_t dst, uint64_t len, uint64_t *done)
{
	struct uffdio_zeropage args = { .range = { .start = dst, .len = len } };
	int ret = ioctl(uffd, UFFDIO_ZEROPAGE, &args);

	return outcome(ret, errno, args.zeropage, len, done);
}

int uffd_poison(int uffd, uint64_t dst, uint64_t len, uint64_t *done)
{
	struct poison_args args = { .range = { .start = dst, .len = len } };
	int ret = ioctl(uffd, POISON_IOCTL, &args);

	return outcome(ret, errno, args.updated, len, done);
}

static int ask_covers(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_continue args = {
		.range = { .start = start, .len = end - start },
		.mode = UFFDIO_CONTINUE_MODE_DONTWAKE,
	};
	int ret = result(ioctl(uffd, UFFDIO_CONTINUE, &args));

	return ret == -ENOENT || ret == -ESRCH || (ret == -EAGAIN && args.mapped <= 0) ? ret : 0;
}

int uffd_covers(int uffd, uint64_t start, uint64_t end)
{
	int ret = ask_covers(uffd, start, end);

	return ret == -ENOENT ? ask_covers(uffd, start, end) : ret;
}

bool uffd_is_gone(int uffd)
{
	const uint64_t anywhere = 1ull << 32; /* above mmap_min_addr, below every task size */

	return uffd_covers(uffd, anywhere, anywhere + 4096) == -ESRCH;
}
