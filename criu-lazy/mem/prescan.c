// SPDX-License-Identifier: GPL-2.0
#include "mem/prescan.h"

#include <pthread.h>
#include <stdlib.h>

#include "kernel/proc_maps.h"
#include "util/scope.h"
#include "util/text.h"

#define LARGE (32ull << 20) /* what is worth a place in the table */

struct scanned {
	uint64_t start, end;
	struct page_runs runs;
};

struct prescan {
	pthread_t thread;
	int proc_fd;
	struct scanned *items;
	size_t count;
};

static bool is_worth(const struct proc_vma *vma)
{
	return !vma->is_shared && !vma->ino && !vma->dev && vma->end - vma->start >= LARGE;
}

/* Headers of maps are those of smaps. */
static int read_maps(int proc_fd, struct proc_vmas *out)
{
	scoped_text struct text text = { 0 };
	int ret = text_read_at(proc_fd, "maps", &text);

	return ret ? ret : proc_vmas_parse(take_ptr(text.data), out);
}

static int scan_large(struct prescan *prescan, const struct proc_vmas *vmas)
{
	struct page_scan *scan;
	int ret = page_scan_open(prescan->proc_fd, &scan);

	if (ret)
		return ret;
	prescan->items = calloc(vmas->count + 1, sizeof(*prescan->items));
	for (size_t i = 0; prescan->items && !ret && i < vmas->count; i++) {
		const struct proc_vma *vma = &vmas->items[i];
		struct scanned *item = &prescan->items[prescan->count];

		if (!is_worth(vma))
			continue;
		ret = page_scan_anonymous(scan, vma->start, vma->end, &item->runs);
		item->start = vma->start;
		item->end = ret ? 0 : vma->end;
		prescan->count++;
	}
	page_scan_close(scan);
	return ret;
}

static void *work(void *arg)
{
	struct prescan *prescan = arg;
	struct proc_vmas vmas;

	if (!read_maps(prescan->proc_fd, &vmas)) {
		scan_large(prescan, &vmas);
		proc_vmas_free(&vmas);
	}
	return NULL;
}

struct prescan *prescan_start(int proc_fd)
{
	struct prescan *prescan = calloc(1, sizeof(*prescan));

	if (!prescan)
		return NULL;
	prescan->proc_fd = proc_fd;
	if (pthread_create(&prescan->thread, NULL, work, prescan)) {
		free(prescan);
		return NULL;
	}
	return prescan;
}

void prescan_join(struct prescan *prescan)
{
	if (prescan)
		pthread_join(prescan->thread, NULL);
}

const struct page_runs *prescan_find(const struct prescan *prescan, uint64_t start, uint64_t end)
{
	for (size_t i = 0; prescan && i < prescan->count; i++) {
		if (prescan->items[i].start == start && prescan->items[i].end == end)
			return &prescan->items[i].runs;
	}
	return NULL;
}

void prescan_free(struct prescan *prescan)
{
	if (!prescan)
		return;
	for (size_t i = 0; i < prescan->count; i++)
		free(prescan->items[i].runs.items);
	free(prescan->items);
	free(prescan);
}
