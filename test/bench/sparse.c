// SPDX-License-Identifier: GPL-2.0
/*
 * sparse PREFIX MIB [STRIDE [TOUCHES PAUSE]]: a process with every STRIDE-th page of an area used
 * (default 2), which after a restore touches its used pages in random order and times each touch.
 * With SPARSE_SAMPLES in the environment time and wait of each such touch go to standard error.
 * With TOUCHES no more than those, PAUSE us apart, of pages that no compression makes smaller.
 *
 * Says PREFIX.ready, waits for PREFIX.go, writes PREFIX.result: JSON with the percentiles of
 * touches that had to wait (over 2 us: a page that is there takes well under one), their number,
 * the time of the whole walk, and the count of wrong pages.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void put_file(const char *prefix, const char *suffix, const char *text)
{
	char path[512], tmp[520];
	FILE *f;

	snprintf(path, sizeof(path), "%s.%s", prefix, suffix);
	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	f = fopen(tmp, "w");
	if (!f || fputs(text, f) < 0 || fclose(f) || rename(tmp, path))
		exit(2);
}

static void wait_go(const char *prefix)
{
	char path[512];

	snprintf(path, sizeof(path), "%s.go", prefix);
	while (access(path, F_OK))
		usleep(500);
}

static uint64_t stamp(size_t page)
{
	return page * 0x9e3779b97f4a7c15ULL + 12345;
}

static void fill_with_noise(uint64_t *page, uint64_t seed)
{
	for (size_t i = 1; i < PAGE / sizeof(*page); i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		page[i] = seed;
	}
}

/* Touches used pages in the order given; returns the wrong ones. */
static size_t walk(const char *area, const uint32_t *order, size_t count, size_t stride,
		   useconds_t pause_us, float *waits, size_t *nr_waits)
{
	size_t wrong = 0;

	*nr_waits = 0;
	for (size_t i = 0; i < count; i++) {
		double start = now_us(), took;
		size_t page = order[i] * stride;

		wrong += *(volatile const uint64_t *)(area + page * PAGE) != stamp(page);
		took = now_us() - start;
		if (took > 2 && getenv("SPARSE_SAMPLES"))
			fprintf(stderr, "%.0f %.0f\n", start, took);
		if (took > 2)
			waits[(*nr_waits)++] = took;
		if (pause_us)
			usleep(pause_us);
	}
	return wrong;
}

int main(int argc, char **argv)
{
	size_t mib, stride, pages, count, touches, nr_waits, wrong;
	useconds_t pause_us;
	uint32_t *order;
	float *waits;
	double start, total;
	char *area, text[512];

	if (argc < 3)
		return 2;
	mib = strtoul(argv[2], NULL, 10);
	stride = argc > 3 ? strtoul(argv[3], NULL, 10) : 2;
	pages = mib * 256 * stride;
	count = pages / stride;
	touches = argc > 4 ? strtoul(argv[4], NULL, 10) : count;
	pause_us = argc > 5 ? strtoul(argv[5], NULL, 10) : 0;
	area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	order = malloc(count * sizeof(*order));
	waits = malloc(count * sizeof(*waits));
	if (area == MAP_FAILED || !order || !waits)
		return 2;
	for (size_t i = 0; i < count; i++) {
		*(uint64_t *)(area + i * stride * PAGE) = stamp(i * stride);
		if (argc > 4)
			fill_with_noise((uint64_t *)(area + i * stride * PAGE), stamp(i));
		order[i] = i;
		waits[i] = 0;
	}
	srandom(7);
	for (size_t i = count - 1; i > 0; i--) {
		size_t j = random() % (i + 1);
		uint32_t tmp = order[i];

		order[i] = order[j];
		order[j] = tmp;
	}
	put_file(argv[1], "ready", "");
	wait_go(argv[1]);
	start = now_us();
	wrong = walk(area, order, touches < count ? touches : count, stride, pause_us, waits,
		     &nr_waits);
	total = now_us() - start;
	qsort(waits, nr_waits, sizeof(*waits), compare);
	snprintf(text, sizeof(text),
		 "{\"waits\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"walk_s\": %.4f, "
		 "\"wrong\": %zu}\n",
		 nr_waits, nr_waits ? waits[nr_waits / 2] : 0,
		 nr_waits ? waits[nr_waits * 99 / 100] : 0, total / 1e6, wrong);
	put_file(argv[1], "result", text);
	for (;;)
		pause();
}
