// SPDX-License-Identifier: GPL-2.0
/* victim: modes=lazy,daemon */
/* Memory that was in huge pages is so again, without being touched. */
#include "victim.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { HUGE = 2 << 20, LEN = 32 << 20, PATIENCE_MS = 5000 };

/* Bytes of the area at `at` in huge pages, as the kernel counts them. */
static size_t huge_bytes(const char *at)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	size_t total = 0, kib;
	char line[512];
	bool is_in = false;
	unsigned long start, end;

	require(smaps, "open smaps");
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			is_in = start < (uintptr_t)at + LEN && (uintptr_t)at < end;
		else if (is_in && sscanf(line, "AnonHugePages: %zu kB", &kib) == 1)
			total += kib << 10;
	}
	fclose(smaps);
	return total;
}

int main(int argc, char **argv)
{
	size_t before, after;
	char *at;

	victim_begin(argc, argv);
	at = victim_map(LEN + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	at += HUGE - (uintptr_t)at % HUGE;
	madvise(at, LEN, MADV_HUGEPAGE);
	victim_fill(at, LEN, 1);
	before = huge_bytes(at);
	if (!before)
		victim_skip("no huge pages for memory that is advised so");
	if (madvise(at, HUGE, MADV_COLLAPSE))
		victim_skip("no MADV_COLLAPSE (Linux 6.1)");

	victim_ready();

	after = huge_bytes(at);
	/* The daemon's time for it is bounded, and the machine may be busy. */
	for (int i = 0; after < before / 2 && i < PATIENCE_MS; i += 50) {
		victim_sleep_ms(50);
		after = huge_bytes(at);
	}
	require(after >= before / 2, "%zu of %zu bytes in huge pages", after, before);
	require_filled(at, LEN, 1);
	victim_pass();
}
