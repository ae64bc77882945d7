// SPDX-License-Identifier: GPL-2.0
/*
 * Workers share one cursor over the runs. Each takes a buffer's worth of addresses under the lock,
 * together with the place in the file that they go to, and copies it alone.
 */
#include "mem/page_copy.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>

#include "mem/write_size.h"
#include "util/log.h"
#include "util/scope.h"

enum {
	PAGE = 4096,
	BUFFER_SIZE = 512 << 10,
	THREADS_MAX = 3,
	THREADS_FROM = 8 << 20,
	PIECES = 256
};

/* What one worker copies at once: pieces of runs that fill its buffer, all of one way to read. */
struct batch {
	struct iovec pieces[PIECES];
	size_t nr_pieces;
	size_t len;
	uint64_t offset;
	bool by_fd;
};

struct shared {
	const struct page_copy *copy;
	size_t buffer_size;
	pthread_mutex_t lock; /* of run, at and offset */
	size_t run;
	uint64_t at;	 /* the next address in it; 0: its start */
	uint64_t offset; /* in the file */
	/* One writes at a time: the kernel would let the others spin on the inode's lock, which
	 * costs whoever else wants to run. */
	pthread_mutex_t writing; /* of sizes */
	struct write_size sizes;
	atomic_int error;
};

static void take_batch(struct shared *shared, struct batch *batch)
{
	const struct page_copy *copy = shared->copy;

	batch->nr_pieces = batch->len = 0;
	pthread_mutex_lock(&shared->lock);
	batch->offset = shared->offset;
	while (shared->run < copy->nr_runs && batch->nr_pieces < PIECES &&
	       batch->len < shared->buffer_size) {
		const struct page_copy_run *run = &copy->runs[shared->run];
		uint64_t start = shared->at ? shared->at : run->start;
		size_t room = shared->buffer_size - batch->len;
		size_t len = run->end - start < room ? (size_t)(run->end - start) : room;

		if (batch->nr_pieces && batch->by_fd != run->by_fd)
			break;
		batch->by_fd = run->by_fd;
		batch->pieces[batch->nr_pieces++] = (struct iovec){ (void *)(uintptr_t)start, len };
		batch->len += len;
		shared->at = start + len;
		if (shared->at == run->end) {
			shared->at = 0;
			shared->run++;
		}
	}
	shared->offset += batch->len;
	pthread_mutex_unlock(&shared->lock);
}

/* The address at which a read that gave `done` bytes of the batch stopped. */
static uint64_t address_of(const struct batch *batch, size_t done)
{
	size_t i = 0;

	while (i + 1 < batch->nr_pieces && done >= batch->pieces[i].iov_len)
		done -= batch->pieces[i++].iov_len;
	return (uintptr_t)batch->pieces[i].iov_base + done;
}

static int read_plain(const struct page_copy *copy, const struct batch *batch, uint8_t *buf)
{
	struct iovec local = { buf, batch->len };
	ssize_t got = process_vm_readv(copy->pid, &local, 1, batch->pieces, batch->nr_pieces, 0);

	if (got == (ssize_t)batch->len)
		return 0;
	/* It says less than asked, and no reason, when it fails in the middle. */
	int err = got < 0 ? -errno : -EFAULT;

	return log_ret(err, "%s: page 0x%" PRIx64 ": read", copy->what,
		       address_of(batch, got < 0 ? 0 : (size_t)got));
}

/* One piece; the rest of a file's last page is zeros. */
static int read_piece(const struct page_copy *copy, uint64_t at, uint8_t *buf, size_t len)
{
	while (len) {
		ssize_t got = pread(copy->in_fd, buf, len, (off_t)at);

		if (!got && copy->in_size && at >= copy->in_size && len < PAGE) {
			memset(buf, 0, len);
			return 0;
		}
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return log_ret(got ? -errno : -EIO, "%s: page 0x%" PRIx64 ": read",
				       copy->what, at);
		at += (uint64_t)got;
		buf += got;
		len -= (size_t)got;
	}
	return 0;
}

static int read_by_fd(const struct page_copy *copy, const struct batch *batch, uint8_t *buf)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < batch->nr_pieces; i++) {
		const struct iovec *piece = &batch->pieces[i];

		ret = read_piece(copy, (uintptr_t)piece->iov_base, buf, piece->iov_len);
		buf += piece->iov_len;
	}
	return ret;
}

static int write_file(const struct page_copy *copy, const struct batch *batch, const uint8_t *buf,
		      size_t size)
{
	for (size_t done = 0; done < batch->len;) {
		size_t left = batch->len - done;
		ssize_t put = pwrite(copy->out_fd, buf + done, left < size ? left : size,
				     (off_t)(batch->offset + done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return log_ret(put ? -errno : -ENOSPC, "pages: write at %" PRIu64,
				       batch->offset + done);
		done += (size_t)put;
	}
	return 0;
}

static uint64_t spent_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static int write_batch(struct shared *shared, const struct batch *batch, const uint8_t *buf)
{
	const struct page_copy *copy = shared->copy;
	uint64_t start;
	int ret;

	if (copy->sink)
		return copy->sink(copy->sink_arg, buf, batch->len);
	start = spent_ns();
	ret = write_file(copy, batch, buf, write_size_choose(&shared->sizes));
	write_size_learn(&shared->sizes, batch->len, spent_ns() - start);
	return ret;
}

static int write_in_turn(struct shared *shared, const struct batch *batch, const uint8_t *buf)
{
	pthread_mutex_lock(&shared->writing);
	int ret = atomic_load(&shared->error);

	if (!ret) {
		ret = write_batch(shared, batch, buf);
		atomic_store(&shared->error, ret);
	}
	pthread_mutex_unlock(&shared->writing);
	return ret;
}

static int copy_batches(struct shared *shared)
{
	uint8_t *buf = mmap(NULL, shared->buffer_size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct batch batch;
	int ret = 0;

	if (buf == MAP_FAILED)
		return log_errno("pages: buffer of %zu bytes", shared->buffer_size);
	while (!ret && !atomic_load(&shared->error)) {
		take_batch(shared, &batch);
		if (!batch.len)
			break;
		ret = batch.by_fd ? read_by_fd(shared->copy, &batch, buf)
				  : read_plain(shared->copy, &batch, buf);
		if (!ret)
			ret = write_in_turn(shared, &batch, buf);
	}
	munmap(buf, shared->buffer_size);
	return ret;
}

static void *work(void *arg)
{
	struct shared *shared = arg;
	int none = 0, ret = copy_batches(shared);

	if (ret)
		atomic_compare_exchange_strong(&shared->error, &none, ret);
	return NULL;
}

unsigned int page_copy_threads(uint64_t bytes)
{
	if (bytes < THREADS_FROM)
		return 1;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	/* Writing is the narrow place, and only one writes. */
	if (cpus < 2)
		return 1;
	return cpus < THREADS_MAX ? (unsigned int)cpus : THREADS_MAX;
}

int page_copy_run(const struct page_copy *copy)
{
	struct shared shared = {
		.copy = copy,
		.buffer_size = copy->buffer_size ? copy->buffer_size : BUFFER_SIZE,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.writing = PTHREAD_MUTEX_INITIALIZER,
	};
	pthread_t threads[THREADS_MAX];
	unsigned int started = 0;

	/* A thread that cannot be had only costs time. */
	while (started + 1 < copy->nr_threads && started < THREADS_MAX &&
	       !pthread_create(&threads[started], NULL, work, &shared))
		started++;
	work(&shared);
	while (started)
		pthread_join(threads[--started], NULL);
	return atomic_load(&shared.error);
}
