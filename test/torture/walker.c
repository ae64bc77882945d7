// SPDX-License-Identifier: GPL-2.0
/*
 * walker PREFIX MIB: visits its pages in random order without end, checks every byte of each and
 * writes it anew; slowly, so that most pages come without being asked for. What each page should
 * hold is kept apart, in memory that moves along.
 *
 * Says PREFIX.ready; adds a line with its pid namespace to PREFIX.where every few pages;
 * when PREFIX.go is there it checks all pages once more. PREFIX.result: "ok", or what was wrong.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, WORDS = PAGE / 8, STEP = 8, PAUSE_US = 20000 };

static const char *prefix;

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static void put(const char *suffix, const char *text, int flags)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s.%s", prefix, suffix);
	fd = open(path, O_WRONLY | O_CREAT | flags, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(3);
	close(fd);
}

static int is_there(const char *suffix)
{
	char path[512];

	snprintf(path, sizeof(path), "%s.%s", prefix, suffix);
	return !access(path, F_OK);
}

static void say_where(void)
{
	char text[66];
	ssize_t len = readlink("/proc/self/ns/pid", text, sizeof(text) - 2);

	if (len <= 0)
		_exit(3);
	text[len] = '\n';
	text[len + 1] = '\0';
	put("where", text, O_APPEND);
}

static void fill(uint64_t *page, size_t index, uint64_t generation)
{
	for (size_t i = 0; i < WORDS; i++)
		page[i] = mix(index * WORDS + i + (generation << 40));
}

static void verify(const uint64_t *page, size_t index, uint64_t generation)
{
	for (size_t i = 0; i < WORDS; i++) {
		char text[128];

		if (page[i] == mix(index * WORDS + i + (generation << 40)))
			continue;
		snprintf(text, sizeof(text), "wrong: page %zu word %zu of generation %llu is %llx",
			 index, i, (unsigned long long)generation, (unsigned long long)page[i]);
		put("result", text, O_TRUNC);
		_exit(1);
	}
}

int main(int argc, char **argv)
{
	size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) * 256 : 0;
	uint64_t *area, *generations, seed;

	if (!count)
		return 2;
	prefix = argv[1];
	seed = mix((uint64_t)getpid());
	area = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	generations = calloc(count, sizeof(*generations));
	if (area == MAP_FAILED || !generations)
		return 2;
	for (size_t i = 0; i < count; i++)
		fill(area + i * WORDS, i, 0);
	put("ready", "", 0);
	while (!is_there("go")) {
		say_where();
		for (int i = 0; i < STEP; i++) {
			size_t at = (seed = mix(seed)) % count;

			verify(area + at * WORDS, at, generations[at]);
			fill(area + at * WORDS, at, ++generations[at]);
			usleep(PAUSE_US);
		}
	}
	for (size_t i = 0; i < count; i++)
		verify(area + i * WORDS, i, generations[i]);
	say_where();
	put("result", "ok", O_TRUNC);
	return 0;
}
