// SPDX-License-Identifier: GPL-2.0
/* cgroup-v1/freezer-subsystem.rst and cgroup-v2.rst of the kernel's admin guide. */
#include "tree/freezer.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

static int put_state(const struct freezer *freezer, bool frozen)
{
	const char *word = freezer->is_v2 ? frozen ? "1" : "0" : frozen ? "FROZEN" : "THAWED";

	if (pwrite(freezer->fd, word, strlen(word), 0) < 0)
		return log_errno("freezer cgroup: write %s", word);
	return 0;
}

/* v1 tells in the same file, v2 in cgroup.events. */
static int is_frozen(const struct freezer *freezer, int dirfd, struct text *text, bool *out)
{
	const char *name = freezer->is_v2 ? "cgroup.events" : "freezer.state";
	int ret = text_read_at(dirfd, name, text);

	if (ret)
		return log_ret(ret, "freezer cgroup: read %s", name);
	*out = strstr(text->data, freezer->is_v2 ? "frozen 1" : "FROZEN") != NULL;
	return 0;
}

static int wait_frozen(const struct freezer *freezer, int dirfd, unsigned int timeout,
		       const volatile sig_atomic_t *stopped)
{
	scoped_text struct text text = { 0 };
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (uint64_t ms = 0; !timeout || ms < timeout * 1000ull; ms++) {
		bool frozen;
		int ret = is_frozen(freezer, dirfd, &text, &frozen);

		if (ret || frozen)
			return ret;
		if (*stopped)
			return -EINTR;
		nanosleep(&pause, NULL);
	}
	return log_ret(-ETIMEDOUT, "freezer cgroup: not frozen after %u s", timeout);
}

static int open_control(struct freezer *freezer, int dirfd, const char *cgroup)
{
	freezer->fd = openat(dirfd, "freezer.state", O_RDWR | O_CLOEXEC);
	if (freezer->fd < 0 && errno == ENOENT) {
		freezer->fd = openat(dirfd, "cgroup.freeze", O_RDWR | O_CLOEXEC);
		freezer->is_v2 = true;
	}
	return freezer->fd < 0 ? log_errno("freezer cgroup %s: no freezer", cgroup) : 0;
}

int freezer_freeze(struct freezer *freezer, const char *cgroup, unsigned int timeout,
		   const volatile sig_atomic_t *stopped)
{
	scoped_fd int dirfd = open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
	scoped_text struct text text = { 0 };
	int ret;

	if (dirfd < 0)
		return log_errno("freezer cgroup %s", cgroup);
	ret = open_control(freezer, dirfd, cgroup);
	if (!ret)
		ret = is_frozen(freezer, dirfd, &text, &freezer->was_frozen);
	if (ret)
		return ret;
	ret = put_state(freezer, true);
	if (!ret)
		ret = wait_frozen(freezer, dirfd, timeout, stopped);
	if (ret)
		freezer_restore(freezer);
	return ret;
}

int freezer_thaw(struct freezer *freezer)
{
	return freezer->fd < 0 ? 0 : put_state(freezer, false);
}

void freezer_restore(struct freezer *freezer)
{
	if (freezer->fd < 0)
		return;
	put_state(freezer, freezer->was_frozen);
	close(freezer->fd);
	freezer->fd = -1;
}
