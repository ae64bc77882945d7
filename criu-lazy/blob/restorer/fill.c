// SPDX-License-Identifier: GPL-2.0
/*
 * Fast filling of our own anonymous memory. Writing to fresh memory costs a fault and a cleared
 * page before each page is overwritten; UFFDIO_COPY from a mapping of the pages file allocates and
 * copies without either, and may come from another process: the restorer, which has nothing else
 * to do, takes pieces from the end of the list while we take them from the start. While areas are
 * registered nothing else may touch their absent pages: a fault would wait for ever.
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
	ERROR_IO = -5,
	ERROR_AGAIN = -11,
	ERROR_FAULT = -14,
};

struct filler {
	struct runner *runner;
	const struct restorer_call *call;
	const struct restorer_fill_list *list;
	struct restorer_fill *fill;
	long uffd;	 /* negative: read instead */
	int32_t file;	 /* mapped in the window, -1 */
	uint64_t offset; /* of the window */
};

static void __attribute__((noreturn)) fail(const struct filler *filler, long err)
{
	runner_fail(filler->runner, filler->call, filler->call->what, err);
}

static long register_areas(const struct filler *filler)
{
	const struct restorer_area *areas =
		(const struct restorer_area *)(uintptr_t)filler->list->areas;
	struct uffdio_api api = { .api = UFFD_API };
	long ret = blob_call3(__NR_ioctl, filler->uffd, UFFDIO_API, (uintptr_t)&api);

	for (uint64_t i = 0; !ret && i < filler->list->nr_areas; i++) {
		struct uffdio_register reg = {
			.range = { areas[i].start, areas[i].end - areas[i].start },
			.mode = UFFDIO_REGISTER_MODE_MISSING,
		};

		ret = blob_call3(__NR_ioctl, filler->uffd, UFFDIO_REGISTER, (uintptr_t)&reg);
	}
	return ret;
}

static void read_piece(const struct filler *filler, const struct restorer_piece *piece)
{
	uint64_t done = 0;

	while (done < piece->len) {
		long ret = blob_call4(__NR_pread64, piece->fd, piece->vaddr + done,
				      piece->len - done, piece->offset + done);

		if (ret <= 0)
			fail(filler, ret ? ret : ERROR_IO);
		done += ret;
	}
}

/* Where the byte at offset is mapped, and how many follow it. */
static uint64_t window_at(struct filler *filler, int32_t fd, uint64_t offset, uint64_t *room)
{
	uint64_t window = filler->runner->args->window;

	if (filler->file != fd || offset < filler->offset ||
	    offset >= filler->offset + RESTORER_WINDOW_BYTES) {
		long ret = arch_syscall(__NR_mmap, window, RESTORER_WINDOW_BYTES, PROTECTION_READ,
					MAPPING, fd, offset);

		if (ret < 0 && ret >= -4095)
			fail(filler, ret);
		filler->file = fd;
		filler->offset = offset;
	}
	*room = filler->offset + RESTORER_WINDOW_BYTES - offset;
	return window + (offset - filler->offset);
}

/* A file that ends before what it should hold faults like a bad address of ours. */
static long why(const struct restorer_piece *piece, long err)
{
	char last;

	if (err == ERROR_FAULT && blob_call4(__NR_pread64, piece->fd, (uintptr_t)&last, 1,
					     piece->offset + piece->len - 1) != 1)
		return ERROR_IO;
	return err;
}

static void copy_piece(struct filler *filler, const struct restorer_piece *piece)
{
	uint64_t done = 0;

	while (done < piece->len) {
		struct uffdio_copy copy = {
			.dst = piece->vaddr + done,
			.len = piece->len - done,
			.mode = UFFDIO_COPY_MODE_DONTWAKE,
		};
		uint64_t room;
		long ret;

		copy.src = window_at(filler, piece->fd, piece->offset + done, &room);
		if (copy.len > room)
			copy.len = room;
		ret = blob_call3(__NR_ioctl, filler->uffd, UFFDIO_COPY, (uintptr_t)&copy);
		if (ret == ERROR_AGAIN && copy.copy > 0)
			ret = 0; /* a part of it */
		if (ret)
			fail(filler, why(piece, ret));
		done += copy.copy;
	}
}

static void ask_for_help(const struct filler *filler)
{
	struct restorer_fill *fill = filler->fill;

	fill->uffd = (int32_t)filler->uffd;
	fill->pieces = filler->list->pieces;
	fill->nr_pieces = filler->list->nr_pieces;
	__atomic_store_n(&fill->help, RESTORER_HELP_WANTED, __ATOMIC_SEQ_CST);
	runner_tell(filler->runner);
}

/* Nobody else may hold the userfaultfd after this: its last close is what unregisters. */
static void dismiss_help(const struct filler *filler)
{
	uint32_t *help = &filler->fill->help;
	uint32_t state = RESTORER_HELP_WANTED;

	if (__atomic_compare_exchange_n(help, &state, RESTORER_HELP_OVER, 0, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST))
		return;
	while ((state = __atomic_load_n(help, __ATOMIC_SEQ_CST)) != RESTORER_HELP_OVER)
		blob_futex_wait(help, state);
}

void fill_pages(struct runner *runner, const struct restorer_call *call)
{
	struct filler filler = {
		.runner = runner,
		.call = call,
		.list = (const struct restorer_fill_list *)(uintptr_t)call->args[0],
		.fill = (struct restorer_fill *)(uintptr_t)call->args[1],
		.file = -1,
	};
	const struct restorer_piece *pieces =
		(const struct restorer_piece *)(uintptr_t)filler.list->pieces;
	uint32_t at;

	filler.uffd = blob_call1(__NR_userfaultfd, FLAG_CLOEXEC);
	if (filler.uffd >= 0 && register_areas(&filler)) {
		blob_call1(__NR_close, filler.uffd);
		filler.uffd = -1;
	}
	if (filler.uffd < 0) {
		for (at = 0; at < filler.list->nr_pieces; at++)
			read_piece(&filler, &pieces[at]);
		return;
	}
	if (filler.list->nr_pieces >= RESTORER_HELP_PIECES)
		ask_for_help(&filler);
	while (restorer_claim(&filler.fill->claimed, filler.list->nr_pieces, 0, &at))
		copy_piece(&filler, &pieces[at]);
	if (filler.list->nr_pieces >= RESTORER_HELP_PIECES)
		dismiss_help(&filler);
	blob_call1(__NR_close, filler.uffd);
}
