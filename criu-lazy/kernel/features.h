/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What this kernel and these privileges allow, by criu's names for `check --feature` and ours for
 * what is newer. Each probe asks the kernel, changes nothing and leaves nothing behind; it runs in
 * the calling process.
 */
#ifndef KERNEL_FEATURES_H
#define KERNEL_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

enum feature_level {
	FEATURE_NEEDED,	      /* nothing works without it */
	FEATURE_EXTRA,	      /* some objects need it */
	FEATURE_EXPERIMENTAL, /* makes things faster or is new */
};

struct feature {
	const char *name;
	enum feature_level level;
	bool (*probe)(void);
	const char *purpose; /* what is lost without it */
};

extern const struct feature feature_table[];
extern const size_t feature_count;

/* The row of that name; NULL if there is none. */
const struct feature *feature_find(const char *name);

#endif
