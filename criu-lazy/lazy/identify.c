// SPDX-License-Identifier: GPL-2.0
#include "lazy/identify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/scope.h"

enum { NS_PER_SEC = 1000000000, SLACK_TICKS = 2 };

/* Start time in clock ticks since boot, field 22 of /proc/PID/stat; 0 if unknown. */
static uint64_t start_ticks(pid_t pid)
{
	char path[64], text[1024], *at;
	scoped_file FILE *file = NULL;
	uint64_t ticks = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file || !fgets(text, sizeof(text), file))
		return 0;
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at && sscanf(at, " %" SCNu64, &ticks) != 1)
		return 0;
	return ticks;
}

/* `born` is monotonic, start times count time asleep too. */
static uint64_t born_ticks(uint64_t born)
{
	struct timespec boot, mono;
	int64_t ns;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	ns = (int64_t)born + (boot.tv_sec - mono.tv_sec) * (int64_t)NS_PER_SEC +
	     (boot.tv_nsec - mono.tv_nsec);
	return (uint64_t)(ns / (NS_PER_SEC / sysconf(_SC_CLK_TCK)));
}

/* What the thread calls itself in its innermost pid namespace. */
static pid_t innermost_tid(pid_t pid, pid_t tid)
{
	scoped_file FILE *file = NULL;
	char path[80], line[256];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		char *last;

		if (strncmp(line, "NSpid:", 6))
			continue;
		last = strrchr(line, '\t');
		return last ? atoi(last) : 0;
	}
	return tid;
}

static bool has_thread(pid_t pid, pid_t tid)
{
	scoped_dir DIR *dir = NULL;
	struct dirent *entry;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		pid_t each = atoi(entry->d_name);

		if (each > 0 && innermost_tid(pid, each) == tid)
			return true;
	}
	return false;
}

struct search {
	pid_t tid, found;
	uint64_t born;
	size_t count;
	bool (*is_known)(void *ctx, pid_t pid);
	void *ctx;
};

static void consider(struct search *search, pid_t pid)
{
	uint64_t start = start_ticks(pid);

	if (search->is_known(search->ctx, pid) || start + SLACK_TICKS < search->born ||
	    start > search->born + SLACK_TICKS)
		return;
	if (search->tid && !has_thread(pid, search->tid))
		return;
	search->found = pid;
	search->count++;
}

static void search_children(struct search *search, pid_t parent, pid_t tid)
{
	scoped_file FILE *file = NULL;
	char path[80];
	int pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, tid);
	file = fopen(path, "re");
	while (file && fscanf(file, "%d", &pid) == 1)
		consider(search, pid);
}

pid_t identify_child(pid_t parent, pid_t tid, uint64_t born, bool (*is_known)(void *ctx, pid_t pid),
		     void *ctx)
{
	struct search search = {
		.tid = tid, .born = born_ticks(born), .is_known = is_known, .ctx = ctx
	};
	scoped_dir DIR *dir = NULL;
	struct dirent *entry;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task", parent);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (atoi(entry->d_name) > 0)
			search_children(&search, parent, atoi(entry->d_name));
	}
	return search.count == 1 ? search.found : 0;
}

void identify_wiped(pid_t pid, void (*wiped)(void *ctx, uint64_t start, uint64_t end), void *ctx)
{
	uint64_t start = 0, end = 0, first, last;
	scoped_file FILE *file = NULL;
	char path[64], line[512];

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "VmFlags:", 8)) {
			if (strstr(line, " wf"))
				wiped(ctx, start, end);
		} else if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &first, &last) == 2) {
			start = first;
			end = last;
		}
	}
}
