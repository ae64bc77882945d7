// SPDX-License-Identifier: GPL-2.0
#include "util/undo.h"

#include <errno.h>
#include <stdlib.h>

struct undo_entry {
	struct undo_entry *below;
	undo_fn fn;
	void *arg;
};

int undo_push(struct undo *undo, undo_fn fn, void *arg)
{
	struct undo_entry *entry = malloc(sizeof(*entry));

	if (!entry) {
		fn(arg, true);
		return -ENOMEM;
	}
	*entry = (struct undo_entry){ .below = undo->top, .fn = fn, .arg = arg };
	undo->top = entry;
	return 0;
}

struct undo_entry *undo_mark(const struct undo *undo)
{
	return undo->top;
}

void undo_run_above(struct undo *undo, const struct undo_entry *mark, bool failed)
{
	while (undo->top && undo->top != mark) {
		struct undo_entry *entry = undo->top;

		undo->top = entry->below;
		entry->fn(entry->arg, failed);
		free(entry);
	}
}

void undo_run(struct undo *undo, bool failed)
{
	undo_run_above(undo, NULL, failed);
}
