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

void undo_run(struct undo *undo, bool failed)
{
	while (undo->top) {
		struct undo_entry *entry = undo->top;

		undo->top = entry->below;
		entry->fn(entry->arg, failed);
		free(entry);
	}
}
