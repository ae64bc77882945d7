// SPDX-License-Identifier: GPL-2.0
/*
 * Areas are cut into pieces, and each thread takes the next piece. When all are done, the runs of
 * an area's pieces are put behind one another.
 */
#include "mem/prescan.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "util/scope.h"
#include "util/text.h"

#define LARGE (8ull << 20) /* areas worth it */
#define PIECE (64ull << 20)
#define MANY  (256ull << 20) /* bytes for which a second thread is worth it */

enum { THREADS_MAX = 2 };

struct piece {
	uint64_t start, end;
	struct page_runs runs;
	int error;
};

struct scanned {
	uint64_t start, end;
	struct page_runs runs;
};

struct prescan {
	pthread_t threads[THREADS_MAX];
	int nr_threads; /* running */
	int proc_fd;
	struct piece *pieces; /* NULL: not known yet */
	size_t nr_pieces;
	atomic_size_t next;
	struct scanned *items; /* ascending */
	size_t count;
};

/* ---- pieces ---------------------------------------------------------------- */

static bool is_worth(const struct proc_vma *vma)
{
	return !vma->is_shared && !vma->ino && !vma->dev && vma->end - vma->start >= LARGE;
}

static uint64_t worth_bytes(const struct proc_vmas *vmas)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < vmas->count; i++)
		if (is_worth(&vmas->items[i]))
			sum += vmas->items[i].end - vmas->items[i].start;
	return sum;
}

static void cut_area(struct prescan *prescan, const struct proc_vma *vma)
{
	uint64_t next;

	for (uint64_t at = vma->start; at < vma->end; at = next) {
		next = vma->end - at > PIECE ? at + PIECE : vma->end;
		prescan->pieces[prescan->nr_pieces++] = (struct piece){ .start = at, .end = next };
	}
	prescan->items[prescan->count++] = (struct scanned){ .start = vma->start, .end = vma->end };
}

static int cut(struct prescan *prescan, const struct proc_vmas *vmas)
{
	size_t most = worth_bytes(vmas) / PIECE + vmas->count + 1;

	prescan->pieces = calloc(most, sizeof(*prescan->pieces));
	prescan->items = calloc(vmas->count + 1, sizeof(*prescan->items));
	if (!prescan->pieces || !prescan->items)
		return -ENOMEM;
	for (size_t i = 0; i < vmas->count; i++)
		if (is_worth(&vmas->items[i]))
			cut_area(prescan, &vmas->items[i]);
	return 0;
}

/* Headers of maps are those of smaps. */
static int cut_maps(struct prescan *prescan)
{
	scoped_text struct text text = { 0 };
	struct proc_vmas vmas = { 0 };
	int ret = text_read_at(prescan->proc_fd, "maps", &text);

	if (!ret)
		ret = proc_vmas_parse(take_ptr(text.data), &vmas);
	if (ret)
		return ret;
	ret = cut(prescan, &vmas);
	proc_vmas_free(&vmas);
	return ret;
}

/* ---- threads --------------------------------------------------------------- */

static void scan_pieces(struct prescan *prescan)
{
	struct page_scan *scan;
	int ret = page_scan_open(prescan->proc_fd, &scan);
	size_t at;

	while ((at = atomic_fetch_add(&prescan->next, 1)) < prescan->nr_pieces) {
		struct piece *piece = &prescan->pieces[at];

		piece->error =
			ret ? ret
			    : page_scan_anonymous(scan, piece->start, piece->end, &piece->runs);
	}
	if (!ret)
		page_scan_close(scan);
}

static void *work(void *arg)
{
	struct prescan *prescan = arg;

	if (prescan->pieces || !cut_maps(prescan))
		scan_pieces(prescan);
	return NULL;
}

struct prescan *prescan_start(int proc_fd, const struct proc_vmas *vmas)
{
	uint64_t bytes = vmas ? worth_bytes(vmas) : 0;
	struct prescan *prescan = vmas && !bytes ? NULL : calloc(1, sizeof(*prescan));
	int wanted = bytes >= MANY ? THREADS_MAX : 1;

	if (!prescan)
		return NULL;
	prescan->proc_fd = proc_fd;
	if (!vmas || !cut(prescan, vmas)) {
		while (prescan->nr_threads < wanted &&
		       !pthread_create(&prescan->threads[prescan->nr_threads], NULL, work, prescan))
			prescan->nr_threads++;
	}
	if (prescan->nr_threads)
		return prescan;
	prescan_free(prescan);
	return NULL;
}

/* ---- results --------------------------------------------------------------- */

/* A run that goes on behind the border of two pieces is one. */
static int append(struct page_runs *to, const struct page_runs *from)
{
	size_t count = from->count, skip = 0;

	if (!count)
		return 0;
	if (to->count && to->items[to->count - 1].end == from->items[0].start &&
	    to->items[to->count - 1].kind == from->items[0].kind) {
		to->items[to->count - 1].end = from->items[0].end;
		skip = 1;
	}
	if (to->capacity - to->count < count) {
		size_t room = 2 * to->capacity + count;
		struct page_run *grown = realloc(to->items, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		to->items = grown;
		to->capacity = room;
	}
	memcpy(to->items + to->count, from->items + skip, (count - skip) * sizeof(*to->items));
	to->count += count - skip;
	return 0;
}

/* An area with a piece that could not be scanned is not found, and scanned again. */
static void put_together(struct prescan *prescan)
{
	struct piece *piece = prescan->pieces;

	for (size_t i = 0; i < prescan->count; i++) {
		struct scanned *item = &prescan->items[i];
		uint64_t end = item->end;

		for (uint64_t at = item->start; at < end; at = piece[-1].end) {
			if (piece->error || append(&item->runs, &piece->runs))
				item->end = 0;
			free(piece->runs.items);
			piece++;
		}
	}
	free(prescan->pieces);
	prescan->pieces = NULL;
}

void prescan_join(struct prescan *prescan)
{
	if (!prescan || !prescan->nr_threads)
		return;
	while (prescan->nr_threads)
		pthread_join(prescan->threads[--prescan->nr_threads], NULL);
	if (prescan->pieces)
		put_together(prescan);
}

static int compare_start(const void *key, const void *item)
{
	uint64_t start = *(const uint64_t *)key, other = ((const struct scanned *)item)->start;

	return start < other ? -1 : start > other;
}

const struct page_runs *prescan_find(const struct prescan *prescan, uint64_t start, uint64_t end)
{
	const struct scanned *item = NULL;

	if (prescan && prescan->items)
		item = bsearch(&start, prescan->items, prescan->count, sizeof(*item),
			       compare_start);
	return item && item->end == end ? &item->runs : NULL;
}

void prescan_free(struct prescan *prescan)
{
	if (!prescan)
		return;
	prescan_join(prescan);
	for (size_t i = 0; i < prescan->count; i++)
		free(prescan->items[i].runs.items);
	free(prescan->pieces);
	free(prescan->items);
	free(prescan);
}
