// SPDX-License-Identifier: GPL-2.0
/*
 * Fast filling of our own anonymous memory. Writing to fresh memory costs a fault and a cleared
 * page before each page is overwritten; UFFDIO_COPY from a mapping of the pages file allocates and
 * copies without either. While areas are registered nothing else may touch their absent pages: a
 * fault would wait for ever.
 */
#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/userfaultfd.h>

#include "blob/restorer/restorer.h"
#include "blob/syscall.h"

enum {
	PROTECTION_READ = 1,
	MAPPING = 0x1 | 0x10 | 0x8000, /* MAP_SHARED | MAP_FIXED | MAP_POPULATE */
	FLAG_CLOEXEC = 02000000,
};

static int register_areas(struct runner *runner, const struct restorer_call *call)
{
	const struct restorer_area *areas = (const struct restorer_area *)(uintptr_t)call->args[0];
	struct uffdio_api api = { .api = UFFD_API };
	long ret = blob_call3(__NR_ioctl, runner->copier.uffd, UFFDIO_API, (uintptr_t)&api);

	for (uint64_t i = 0; !ret && i < call->args[1]; i++) {
		struct uffdio_register reg = {
			.range = { areas[i].start, areas[i].end - areas[i].start },
			.mode = UFFDIO_REGISTER_MODE_MISSING,
		};

		ret = blob_call3(__NR_ioctl, runner->copier.uffd, UFFDIO_REGISTER, (uintptr_t)&reg);
	}
	return (int)ret;
}

/* Closing it is all it takes to go back. */
void copy_end(struct runner *runner)
{
	if (runner->copier.uffd >= 0)
		blob_call1(__NR_close, runner->copier.uffd);
	runner->copier.uffd = -1;
}

void copy_begin(struct runner *runner, const struct restorer_call *call)
{
	runner->copier.file = -1;
	runner->copier.uffd = (int32_t)blob_call1(__NR_userfaultfd, FLAG_CLOEXEC);
	if (runner->copier.uffd >= 0 && register_areas(runner, call))
		copy_end(runner);
}

static void read_run(struct runner *runner, const struct restorer_call *call)
{
	uint64_t done = 0;

	while (done < call->args[2]) {
		long ret = blob_call4(__NR_pread64, call->args[0], call->args[1] + done,
				      call->args[2] - done, call->args[3] + done);

		if (ret <= 0)
			runner_fail(runner, call, call->what, ret ? ret : -5 /* EIO */);
		done += ret;
	}
}

/* Where the byte at offset is mapped, and how many follow it. */
static uint64_t window_at(struct runner *runner, const struct restorer_call *call, uint64_t offset,
			  uint64_t *room)
{
	struct copier *copier = &runner->copier;
	uint64_t window = runner->args->window;

	if (copier->file != (int32_t)call->args[0] || offset < copier->offset ||
	    offset >= copier->offset + RESTORER_WINDOW_BYTES) {
		long ret = arch_syscall(__NR_mmap, window, RESTORER_WINDOW_BYTES, PROTECTION_READ,
					MAPPING, call->args[0], offset);

		if (ret < 0 && ret >= -4095)
			runner_fail(runner, call, call->what, ret);
		copier->file = (int32_t)call->args[0];
		copier->offset = offset;
	}
	*room = copier->offset + RESTORER_WINDOW_BYTES - offset;
	return window + (offset - copier->offset);
}

void copy_pages(struct runner *runner, const struct restorer_call *call)
{
	uint64_t done = 0;

	if (runner->copier.uffd < 0) {
		read_run(runner, call);
		return;
	}
	while (done < call->args[2]) {
		struct uffdio_copy copy = {
			.dst = call->args[1] + done,
			.len = call->args[2] - done,
			.mode = UFFDIO_COPY_MODE_DONTWAKE,
		};
		uint64_t room;
		long ret;

		copy.src = window_at(runner, call, call->args[3] + done, &room);
		if (copy.len > room)
			copy.len = room;
		ret = blob_call3(__NR_ioctl, runner->copier.uffd, UFFDIO_COPY, (uintptr_t)&copy);
		if (ret == -11 /* EAGAIN: part of it */ && copy.copy > 0)
			ret = 0;
		if (ret)
			runner_fail(runner, call, call->what, ret);
		done += copy.copy;
	}
}
