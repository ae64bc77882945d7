// SPDX-License-Identifier: GPL-2.0
/* What kinds remember during a dump, and how they learn what the tree holds. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <unistd.h>

#include "kinds/files_registry.h"
#include "kinds/kind.h"
#include "util/log.h"
#include "util/scope.h"

struct slot {
	const void *owner;
	uint64_t a, b;
	uint32_t value;
};

static int compare_slots(const void *left, const void *right)
{
	const struct slot *a = left, *b = right;

	if (a->owner != b->owner)
		return a->owner < b->owner ? -1 : 1;
	if (a->a != b->a)
		return a->a < b->a ? -1 : 1;
	return a->b < b->b ? -1 : a->b > b->b;
}

uint32_t *files_dump_slot(struct dump *dump, const void *owner, uint64_t a, uint64_t b)
{
	scoped_free struct slot *slot = calloc(1, sizeof(*slot));
	struct slot **found = NULL;

	if (slot) {
		*slot = (struct slot){ .owner = owner, .a = a, .b = b };
		found = tsearch(slot, &dump->files->slots, compare_slots);
	}
	if (!found) {
		log_ret(-ENOMEM, "files: a slot");
		return NULL;
	}
	if (*found == slot)
		(void)take_ptr(slot);
	return &(*found)->value;
}

uint32_t files_dump_get(struct dump *dump, const void *owner, uint64_t a, uint64_t b)
{
	const struct slot wanted = { .owner = owner, .a = a, .b = b };
	struct slot **found = tfind(&wanted, &dump->files->slots, compare_slots);

	return found ? (*found)->value : 0;
}

int files_dump_set(struct dump *dump, const void *owner, uint64_t a, uint64_t b, uint32_t value)
{
	uint32_t *slot = files_dump_slot(dump, owner, a, b);

	if (!slot)
		return -ENOMEM;
	*slot = value;
	return 0;
}

static int each_link_of(struct dump *dump, const struct task *task, files_note_fn note)
{
	char path[40], link[PATH_MAX];
	const struct dirent *dent;
	int ret = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", task->host_pid);
	scoped_dir DIR *dir = opendir(path);
	if (!dir)
		return 0;
	while (!ret && (dent = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), dent->d_name, link, sizeof(link) - 1);

		if (len <= 0) /* . and .. */
			continue;
		link[len] = '\0';
		ret = note(dump, task, dent->d_name, link);
	}
	return ret;
}

int files_dump_each_link(struct dump *dump, files_note_fn note)
{
	const struct task *task;
	int ret = 0;

	tree_for_each (task, &dump->tree) {
		ret = each_link_of(dump, task, note);
		if (ret)
			break;
	}
	return ret;
}
