// SPDX-License-Identifier: GPL-2.0
/* The small images that describe the set as a whole. */
#include "inventory.pb-c.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "dump/ids.h"
#include "dump/phases.h"
#include "stats.pb-c.h"
#include "timens.pb-c.h"
#include "util/log.h"

enum { IMG_VERSION = 2, DUMPER_ID = 1, OUR_CGROUP_SET = 1, RUN_ID_SIZE = 37 };

/* A random UUID: tells this dump from every other. */
static int make_run_id(char out[RUN_ID_SIZE])
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return log_errno("getrandom");
	b[6] = (b[6] & 0x0f) | 0x40; /* RFC 9562: version 4 */
	b[8] = (b[8] & 0x3f) | 0x80; /* and its variant */
	snprintf(out, RUN_ID_SIZE,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
	return 0;
}

int inventory_dump(struct dump *dump)
{
	InventoryEntry entry = INVENTORY_ENTRY__INIT;
	TaskKobjIdsEntry ids = TASK_KOBJ_IDS_ENTRY__INIT;
	const unsigned int method = dump->opts->network_lock;
	char run_id[RUN_ID_SIZE];
	int ret = make_run_id(run_id);

	if (ret)
		return ret;
	ids.vm_id = ids.files_id = ids.fs_id = ids.sighand_id = DUMPER_ID;
	ids_fill_namespaces(&ids);

	entry.img_version = IMG_VERSION;
	entry.has_fdinfo_per_id = entry.fdinfo_per_id = true;
	entry.root_ids = &ids;
	entry.has_ns_per_id = entry.ns_per_id = true;
	/* The tasks' set is the dumper's: nothing to make or to move to, and no cgroup.img. */
	entry.has_root_cg_set = true;
	entry.root_cg_set = OUR_CGROUP_SET;
	entry.has_lsmtype = true;
	entry.lsmtype = LSMTYPE__NO_LSM;
	entry.has_tcp_close = dump->opts->tcp_close;
	entry.tcp_close = dump->opts->tcp_close;
	entry.has_network_lock_method = true;
	/* Counted from 0 in the image and from 1 in RPC and options (0: the default, the first). */
	entry.network_lock_method = method ? method - 1 : 0;
	entry.dump_criu_run_id = run_id;
	return image_write_one(dump->images, IMG_INVENTORY, 0, &entry.base);
}

static int put_clock(clockid_t clock, Timespec *out)
{
	struct timespec now;

	if (clock_gettime(clock, &now))
		return log_errno("clock %d", clock);
	timespec__init(out);
	out->tv_sec = now.tv_sec;
	out->tv_nsec = now.tv_nsec;
	return 0;
}

int clocks_dump(struct dump *dump)
{
	TimensEntry entry = TIMENS_ENTRY__INIT;
	Timespec monotonic, boottime;
	int ret = put_clock(CLOCK_MONOTONIC, &monotonic);

	if (!ret)
		ret = put_clock(CLOCK_BOOTTIME, &boottime);
	if (ret)
		return ret;
	entry.monotonic = &monotonic;
	entry.boottime = &boottime;
	return image_write_one(dump->images, IMG_TIMENS, 0, &entry.base);
}

static void show_stats(const struct dump_counters *c)
{
	printf("Displaying dump stats:\n");
	printf("Freezing time: %llu us\n", (unsigned long long)c->freezing_us);
	printf("Frozen time: %llu us\n", (unsigned long long)c->frozen_us);
	printf("Memory dump time: %llu us\n", (unsigned long long)c->memdump_us);
	printf("Memory write time: %llu us\n", (unsigned long long)c->memwrite_us);
	printf("Memory pages scanned: %llu\n", (unsigned long long)c->pages_scanned);
	printf("Memory pages skipped from parent: %llu\n",
	       (unsigned long long)c->pages_skipped_parent);
	printf("Memory pages written: %llu\n", (unsigned long long)c->pages_written);
	printf("Lazy memory pages: %llu\n", (unsigned long long)c->pages_lazy);
	fflush(stdout);
}

/* The command has entered its work directory, which is the images' one by default. */
static int write_in_work_dir(const ProtobufCMessage *msg)
{
	struct image_dir *dir;
	int ret = image_dir_open(".", -1, &dir);

	if (ret)
		return ret;
	ret = image_write_one(dir, IMG_STATS, IMAGE_STATS_DUMP, msg);
	image_dir_close(dir);
	return ret;
}

int stats_dump(struct dump *dump)
{
	const struct dump_counters *c = &dump->counters;
	DumpStatsEntry counters = DUMP_STATS_ENTRY__INIT;
	StatsEntry entry = STATS_ENTRY__INIT;

	counters.freezing_time = c->freezing_us;
	counters.frozen_time = c->frozen_us;
	counters.memdump_time = c->memdump_us;
	counters.memwrite_time = c->memwrite_us;
	counters.pages_scanned = c->pages_scanned;
	counters.pages_skipped_parent = c->pages_skipped_parent;
	counters.pages_written = c->pages_written;
	counters.pages_lazy = c->pages_lazy;
	counters.has_shpages_scanned = true;
	counters.shpages_scanned = c->shpages_scanned;
	counters.has_shpages_skipped_parent = true;
	counters.shpages_skipped_parent = c->shpages_skipped_parent;
	counters.has_shpages_written = true;
	counters.shpages_written = c->shpages_written;
	entry.dump = &counters;
	if (dump->opts->display_stats)
		show_stats(c);
	return write_in_work_dir(&entry.base);
}
