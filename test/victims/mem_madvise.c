// SPDX-License-Identifier: GPL-2.0
/* Every lasting madvise and mlock flag, seen in smaps and, for fork, by its effect. */
#include "victim.h"

#include <sys/wait.h>

enum { LEN = 16 * PAGE, ONFAULT = 1 };

static const struct {
	int advice;
	const char *flag; /* in VmFlags, proc(5) */
} advices[] = {
	{ MADV_DONTFORK, "dc" },   { MADV_DONTDUMP, "dd" },   { MADV_WIPEONFORK, "wf" },
	{ MADV_RANDOM, "rr" },	   { MADV_SEQUENTIAL, "sr" }, { MADV_HUGEPAGE, "hg" },
	{ MADV_NOHUGEPAGE, "nh" },
};
enum { COUNT = sizeof(advices) / sizeof(advices[0]) };

static void read_flags(const void *at, char *flags, size_t size)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	char line[512], start[32];
	bool here = false;

	require(smaps, "smaps");
	snprintf(start, sizeof(start), "%lx-", (unsigned long)at);
	flags[0] = '\0';
	while (fgets(line, sizeof(line), smaps)) {
		if (!strncmp(line, start, strlen(start)))
			here = true;
		if (here && !strncmp(line, "VmFlags:", 8)) {
			snprintf(flags, size, "%s", line + 8);
			break;
		}
	}
	fclose(smaps);
	require(flags[0], "area at %p is not in smaps", at);
}

static bool has_flag(const void *at, const char *flag)
{
	char flags[512], word[8];

	read_flags(at, flags, sizeof(flags));
	snprintf(word, sizeof(word), " %s", flag);
	return strstr(flags, word);
}

/* An area of its own: neighbours with other flags do not join it. */
static char *area(uint64_t seed)
{
	char *at = victim_map(LEN + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);

	at += PAGE;
	require(!mprotect(at, LEN, PROT_READ | PROT_WRITE), "mprotect");
	victim_fill(at, LEN, seed);
	return at;
}

int main(int argc, char **argv)
{
	char *at[COUNT], *locked, *onfault;
	bool had[COUNT];
	int status;

	victim_begin(argc, argv);
	for (int i = 0; i < COUNT; i++) {
		at[i] = area(i);
		/* A kernel may lack one (huge pages, for example). */
		had[i] =
			!madvise(at[i], LEN, advices[i].advice) && has_flag(at[i], advices[i].flag);
	}
	locked = area(COUNT);
	require(!mlock(locked, LEN), "mlock");
	onfault = area(COUNT + 1);
	require(!mlock2(onfault, LEN, ONFAULT), "mlock2");
	require(has_flag(onfault, "lf"), "VmFlags lf before");

	victim_ready();

	for (int i = 0; i < COUNT; i++) {
		require(has_flag(at[i], advices[i].flag) == had[i], "VmFlags %s", advices[i].flag);
		require_filled(at[i], LEN, i);
	}
	require(has_flag(locked, "lo") && !has_flag(locked, "lf"), "VmFlags lo");
	require(has_flag(onfault, "lo") && has_flag(onfault, "lf"), "VmFlags lf");
	require_filled(locked, LEN, COUNT);
	require_filled(onfault, LEN, COUNT + 1);
	if (!fork())
		_exit(at[2][5] ? 1 : 0);
	require(wait(&status) > 0 && !status, "WIPEONFORK in a child");
	victim_pass();
}
