/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the two ends of `migrate` say to each other over the remote command.
 *
 * source -> destination, its standard input: records, in this order
 *     OPTION...  DIR  { FILE DATA... }...  START  [GO]
 * destination -> source, its standard output: lines that begin with "@migrate ". Other lines are
 * somebody else's (a login script, a banner) and are passed over.
 *     hello VERSION BOOT-ID PID-NAMESPACE ADDRESS|-   who it is; how it sees the source
 *     ready           the tree is made, no task of it has run
 *     running         tasks run: only ever after GO
 *     progress PERCENT
 *     complete JSON   all memory is there
 *     failed TEXT     no task has run, nothing is left of the try
 *     lost TEXT       tasks ran, but their memory will not come any more
 *     note TEXT       for the log
 *
 * GO is the one moment that decides. Before it the destination runs nothing and takes everything
 * back when its standard input ends; after it the source does not let its tree go on by itself,
 * unless it is told "failed". So the tree never runs at both ends.
 */
#ifndef MIGRATE_WIRE_H
#define MIGRATE_WIRE_H

#include <stdint.h>

#define MIGRATE_COMMAND "migrate-receive"
#define MIGRATE_PREFIX	"@migrate "

enum { MIGRATE_VERSION = 1, MIGRATE_RECORD_MAX = 256 << 10, MIGRATE_LINE_MAX = 16 << 10 };

enum migrate_type {
	MIGRATE_OPTION = 1, /* name NUL value; no NUL: a flag */
	MIGRATE_DIR,	    /* where the images go; empty: a new directory, removed at the end */
	MIGRATE_FILE,	    /* the name of an image; its bytes follow */
	MIGRATE_DATA,
	MIGRATE_START, /* struct migrate_start */
	MIGRATE_GO,
};

struct migrate_record {
	uint32_t type;
	uint32_t len; /* of what follows, at most MIGRATE_RECORD_MAX */
};

struct migrate_start {
	uint32_t shares_pids; /* the same pids are in use by the source until its tree has ended */
};

#endif
