// SPDX-License-Identifier: GPL-2.0
/*
 * The restorer's half of filling long runs of memory: while the blobs work it would only wait, and
 * UFFDIO_COPY(2) may be called by whoever has the descriptor. Pieces are taken from the end of
 * the list; the blob takes them from the start.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lazy/uffd.h"
#include "restore/restore_task.h"
#include "util/log.h"
#include "util/scope.h"

/* The userfaultfd and the list. -errno: no help then; the blob does it all. */
static int reach_task(const struct restore *restore, const struct task *task, int *uffd,
		      struct restorer_piece *pieces)
{
	const struct shared_task *shared = &restore->shared->tasks[task->restore->index];
	size_t len = shared->fill.nr_pieces * sizeof(*pieces);
	struct iovec local = { pieces, len };
	struct iovec remote = { (void *)(uintptr_t)shared->fill.pieces, len };
	scoped_fd int pidfd = (int)syscall(SYS_pidfd_open, shared->host_pid, 0);

	ssize_t got;

	if (pidfd < 0)
		return -errno;
	got = process_vm_readv(shared->host_pid, &local, 1, &remote, 1, 0);
	if (got != (ssize_t)len)
		return got < 0 ? -errno : -EFAULT;
	*uffd = (int)syscall(SYS_pidfd_getfd, pidfd, shared->fill.uffd, 0);
	return *uffd < 0 ? -errno : 0;
}

static int copy_from(int uffd, const struct restorer_piece *piece, const uint8_t *from)
{
	uint64_t at = 0, done;
	int ret = 0;

	for (; !ret && at < piece->len; at += done) {
		ret = uffd_copy(uffd, piece->vaddr + at, from + at, piece->len - at, false, &done);
		if (ret == -EAGAIN && done)
			ret = 0; /* a part of it */
	}
	return ret;
}

/* A file that ends before what it should hold faults like a bad address of the task. */
static bool is_cut(const struct restorer_piece *piece)
{
	struct stat st;

	return !fstat(piece->source_fd, &st) && (uint64_t)st.st_size < piece->offset + piece->len;
}

static int fill_piece(int uffd, const struct restorer_piece *piece)
{
	void *map = mmap(NULL, piece->len, PROT_READ, MAP_SHARED | MAP_POPULATE, piece->source_fd,
			 (off_t)piece->offset);
	int ret;

	if (map == MAP_FAILED)
		return -errno;
	ret = copy_from(uffd, piece, map);
	munmap(map, piece->len);
	return ret == -EFAULT && is_cut(piece) ? -EIO : ret;
}

static void help_task(struct restore *restore, const struct task *task)
{
	struct restorer_fill *fill = &restore->shared->tasks[task->restore->index].fill;
	scoped_free struct restorer_piece *pieces = calloc(fill->nr_pieces, sizeof(*pieces));
	scoped_fd int uffd = -1;
	uint32_t at, count = 0;
	int ret = pieces ? reach_task(restore, task, &uffd, pieces) : -ENOMEM;

	if (ret)
		log_debug("task %d: fills its memory alone: %s", task->pid, strerror(-ret));
	while (!ret && restorer_claim(&fill->claimed, fill->nr_pieces, 1, &at)) {
		ret = fill_piece(uffd, &pieces[at]);
		count++;
		if (!ret)
			continue;
		log_ret(ret, "task %d: memory at %#lx: copy %lu bytes", task->pid, pieces[at].vaddr,
			pieces[at].len);
		shared_fail(restore->shared);
	}
	log_debug("task %d: %u of %u pieces of its memory filled by the restorer", task->pid, count,
		  fill->nr_pieces);
}

void fill_help(struct restore *restore)
{
	struct task *task;

	tree_for_each (task, &restore->tree) {
		uint32_t *help = &restore->shared->tasks[task->restore->index].fill.help;
		uint32_t state = RESTORER_HELP_WANTED;

		if (!__atomic_compare_exchange_n(help, &state, RESTORER_HELP_COMES, 0,
						 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			continue;
		help_task(restore, task);
		__atomic_store_n(help, RESTORER_HELP_OVER, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, help, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	}
}
