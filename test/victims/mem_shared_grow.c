// SPDX-License-Identifier: GPL-2.0
/*
 * A child that never rests maps ever more of a segment, page by page, and then lets go of it again.
 * Wherever it is stopped, most of the segment is in no mapping of its own; what it finds there must
 * be what it left, at once.
 */
/* victim: modes=eager,lazy,daemon,remote,migrate timeout=90 */
#include <signal.h>
#include <sys/wait.h>

#include "victim.h"

enum { PAGES = 4096 };

struct page {
	uint64_t place, visits;
	uint8_t rest[PAGE - 16];
};

static struct status {
	int must_end, line, error;
	uint64_t index, rounds;
} * status;

#define claim(cond, at)                                                                      \
	do {                                                                                 \
		if (!(cond)) {                                                               \
			*status = (struct status){ 1, __LINE__, errno, at, status->rounds }; \
			_exit(1);                                                            \
		}                                                                            \
	} while (0)

static struct page *resize(struct page *pages, size_t from, size_t to)
{
	struct page *moved = mremap(pages, from * PAGE, to * PAGE, MREMAP_MAYMOVE);

	claim(moved != MAP_FAILED, to);
	return moved;
}

static void child(struct page *pages, uint64_t *visits)
{
	pages = resize(pages, PAGES, 1);
	for (; !status->must_end; status->rounds++) {
		for (size_t i = 1; i < PAGES; i++) {
			pages = resize(pages, i, i + 1);
			claim(pages[i].place == victim_mix(i), i);
			claim(pages[i].visits == visits[i], i);
			visits[i]++;
			pages[i].visits++;
		}
		pages = resize(pages, PAGES, 1);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	struct page *pages;
	int how;
	pid_t pid;

	victim_begin(argc, argv);
	status = victim_map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	pages = victim_map(PAGES * sizeof(*pages), PROT_READ | PROT_WRITE, MAP_SHARED);
	for (size_t i = 0; i < PAGES; i++)
		pages[i].place = victim_mix(i);
	pid = fork();
	require(pid >= 0, "fork");
	if (!pid)
		child(pages,
		      victim_map(PAGES * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_PRIVATE));
	while (!status->rounds && !status->line)
		victim_sleep_ms(1);
	victim_ready();
	victim_sleep_ms(100);
	status->must_end = 1;
	require(waitpid(pid, &how, 0) == pid, "child");
	errno = status->error;
	require(!status->line, "line %d, page %lu, round %lu", status->line, status->index,
		status->rounds);
	require(!how, "child: 0x%x", how);
	for (size_t i = 1; i < PAGES; i++) {
		require(pages[i].place == victim_mix(i), "page %zu", i);
		require(pages[i].visits == status->rounds, "page %zu: %lu of %lu visits", i,
			pages[i].visits, status->rounds);
	}
	victim_pass();
}
