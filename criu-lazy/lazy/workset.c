// SPDX-License-Identifier: GPL-2.0
#include "lazy/workset.h"

#include <errno.h>
#include <stdlib.h>

#include "lazy-working-set.pb-c.h"
#include "transport/wire.h"
#include "util/log.h"
#include "util/scope.h"

#define RUNS_MAX    (1u << 20)
#define PAGES_MAX   (1ull << 28)
#define ADDRESS_MAX (1ull << 56)

void workset_add(struct workset *set, uint64_t object, uint64_t vaddr, uint64_t nr_pages)
{
	struct workset_run *last = set->count ? &set->runs[set->count - 1] : NULL;

	set->pages += nr_pages;
	if (last && last->object == object && last->vaddr + last->nr_pages * WIRE_PAGE == vaddr) {
		last->nr_pages += nr_pages;
		return;
	}
	if (set->count == set->room) {
		size_t room = set->room ? 2 * set->room : 256;
		void *grown =
			room <= RUNS_MAX ? realloc(set->runs, room * sizeof(*set->runs)) : NULL;

		if (!grown)
			return;
		set->runs = grown;
		set->room = room;
	}
	set->runs[set->count++] = (struct workset_run){ object, vaddr, nr_pages };
}

void workset_fini(struct workset *set)
{
	free(set->runs);
	*set = (struct workset){ 0 };
}

static int compare_runs(const void *a, const void *b)
{
	const struct workset_run *left = a, *right = b;

	if (left->object != right->object)
		return left->object < right->object ? -1 : 1;
	return left->vaddr < right->vaddr ? -1 : left->vaddr > right->vaddr;
}

/* Sorted runs: those that touch or overlap become one. */
static void join_runs(struct workset *set)
{
	size_t kept = 0;

	set->pages = 0;
	for (size_t i = 0; i < set->count; i++) {
		struct workset_run *last = &set->runs[kept ? kept - 1 : 0], *run = &set->runs[i];
		uint64_t last_end = last->vaddr + last->nr_pages * WIRE_PAGE;
		uint64_t end = run->vaddr + run->nr_pages * WIRE_PAGE;

		if (!kept || last->object != run->object || run->vaddr > last_end)
			set->runs[kept++] = *run;
		else if (end > last_end)
			last->nr_pages = (end - last->vaddr) / WIRE_PAGE;
	}
	set->count = kept;
	for (size_t i = 0; i < kept; i++)
		set->pages += set->runs[i].nr_pages;
}

int workset_first(const struct workset *set, uint64_t max_pages, uint64_t around,
		  struct workset *out)
{
	uint64_t pages = 0;

	*out = (struct workset){ .runs = calloc(set->count + 1, sizeof(*out->runs)) };
	if (!out->runs)
		return -ENOMEM;
	out->room = set->count + 1;
	for (size_t i = 0; i < set->count && pages < max_pages; i++) {
		struct workset_run run = set->runs[i];
		uint64_t end = run.vaddr + run.nr_pages * WIRE_PAGE;

		pages += run.nr_pages;
		run.vaddr &= ~(around - 1);
		end = (end + around - 1) & ~(around - 1);
		run.nr_pages = (end - run.vaddr) / WIRE_PAGE;
		out->runs[out->count++] = run;
	}
	qsort(out->runs, out->count, sizeof(*out->runs), compare_runs);
	join_runs(out);
	return 0;
}

static bool is_sane(const LazyWorkingSetEntry *entry)
{
	return entry->n_vaddr == entry->n_object && entry->n_vaddr == entry->n_nr_pages &&
	       entry->n_vaddr <= RUNS_MAX;
}

static bool is_run(uint64_t vaddr, uint64_t nr_pages)
{
	return vaddr % WIRE_PAGE == 0 && vaddr < ADDRESS_MAX && nr_pages && nr_pages <= PAGES_MAX;
}

int workset_load(struct image_dir *images, struct workset *out)
{
	ProtobufCMessage *msg;
	int ret = image_read_one(images, IMG_LAZY_WORKING_SET, 0,
				 &lazy_working_set_entry__descriptor, &msg);

	*out = (struct workset){ 0 };
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	const LazyWorkingSetEntry *entry = (const LazyWorkingSetEntry *)msg;

	if (!is_sane(entry))
		ret = log_ret(-EBADMSG, "lazy-working-set.img: lists of different lengths");
	for (size_t i = 0; !ret && i < entry->n_vaddr; i++) {
		if (is_run(entry->vaddr[i], entry->nr_pages[i]))
			workset_add(out, entry->object[i], entry->vaddr[i], entry->nr_pages[i]);
	}
	image_msg_free(msg);
	return ret;
}

int workset_save(const struct workset *set, struct image_dir *images)
{
	LazyWorkingSetEntry entry = LAZY_WORKING_SET_ENTRY__INIT;
	scoped_free uint64_t *words = calloc(3 * set->count + 1, sizeof(*words));

	if (!words)
		return log_ret(-ENOMEM, "lazy-working-set.img");
	entry.object = words;
	entry.vaddr = words + set->count;
	entry.nr_pages = words + 2 * set->count;
	entry.n_object = entry.n_vaddr = entry.n_nr_pages = set->count;
	for (size_t i = 0; i < set->count; i++) {
		entry.object[i] = set->runs[i].object;
		entry.vaddr[i] = set->runs[i].vaddr;
		entry.nr_pages[i] = set->runs[i].nr_pages;
	}
	return image_write_one(images, IMG_LAZY_WORKING_SET, 0, &entry.base);
}
