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
