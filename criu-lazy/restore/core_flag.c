// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel sets the flag only when it has written a core (core(5)): so it gets a place to write
 * to, an empty file system that is all this process sees, and nearly nothing to write.
 */
#include "restore/core_flag.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

/* No areas, only headers and registers: some ten KiB. */
#define CORE_FILTER "0"
/* A mount of its own wherever we run, in a chroot, too. */
#define PLACE "/proc"

/* The folders of an absolute pattern, in what will be our root. */
static int make_folders(const char *pattern)
{
	char path[128];

	for (const char *end = strchr(pattern + 1, '/'); end; end = strchr(end + 1, '/')) {
		size_t len = (size_t)(end - pattern);

		if (len >= sizeof(path) - 1)
			return -ENAMETOOLONG;
		path[0] = '.';
		memcpy(path + 1, pattern, len);
		path[len + 1] = '\0';
		if (strchr(path, '%') || (mkdir(path, 0700) && errno != EEXIST))
			return -EINVAL;
	}
	return 0;
}

static int hide(const char *pattern)
{
	if (unshare(CLONE_NEWNS | CLONE_FS) || mount(NULL, PLACE, NULL, MS_PRIVATE, NULL) ||
	    mount("core", PLACE, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0700") ||
	    chdir(PLACE))
		return -errno;
	if (pattern[0] == '/' && make_folders(pattern))
		return -EINVAL;
	return chroot(".") || chdir("/") ? -errno : 0;
}

static int want_little(void)
{
	scoped_fd int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, CORE_FILTER, sizeof(CORE_FILTER) - 1) < 0 ? -errno : 0;
}

static int prepare(void)
{
	scoped_text struct text pattern = { 0 };
	struct rlimit limit;
	int ret = text_read_at(AT_FDCWD, "/proc/sys/kernel/core_pattern", &pattern);

	if (ret)
		return ret;
	if (pattern.data[0] == '|' || pattern.data[0] == '@')
		return -EOPNOTSUPP;
	if (getrlimit(RLIMIT_CORE, &limit) || !limit.rlim_max)
		return -EPERM;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_CORE, &limit) || prctl(PR_SET_DUMPABLE, 1))
		return -errno;
	return want_little() ?: hide(pattern.data);
}

void core_flag_clear(void)
{
	struct rlimit none = { 0 };

	setrlimit(RLIMIT_CORE, &none);
	/* A program that cores are piped to does not mind the limit (core(5)). */
	prctl(PR_SET_DUMPABLE, 0);
}

void core_flag_prepare(void)
{
	int ret = prepare();

	if (!ret)
		return;
	log_warn("pid %d: dies without the flag that a core was dumped: %s", getpid(),
		 strerror(-ret));
	core_flag_clear();
}
