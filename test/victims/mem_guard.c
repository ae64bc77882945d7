// SPDX-License-Identifier: GPL-2.0
/* Guard pages (MADV_GUARD_INSTALL, 6.13): still there, and their neighbours still hold their bytes.
 */
#include "victim.h"

#include <setjmp.h>
#include <signal.h>

enum { PAGES = 16, GUARD_INSTALL = 102, GUARD_REMOVE = 103 };

static sigjmp_buf back;

static void on_fault(int signo)
{
	siglongjmp(back, 1);
}

static bool faults(const volatile char *at)
{
	if (sigsetjmp(back, 1))
		return true;
	(void)*at;
	return false;
}

int main(int argc, char **argv)
{
	char *at;

	victim_begin(argc, argv);
	signal(SIGSEGV, on_fault);
	at = victim_map(PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	victim_fill(at, PAGES * PAGE, 1);
	for (int i = 1; i < PAGES; i += 3)
		if (madvise(at + i * PAGE, PAGE, GUARD_INSTALL))
			victim_skip("no MADV_GUARD_INSTALL (6.13)");

	victim_ready();

	for (int i = 0; i < PAGES; i++) {
		require(faults(at + i * PAGE) == (i % 3 == 1), "page %d", i);
		if (i % 3 != 1)
			require(*(uint64_t *)(at + i * PAGE) ==
					victim_mix(0x9e3779b97f4a7c15ULL + i * PAGE / 8),
				"content of page %d", i);
	}
	require(!madvise(at + PAGE, PAGE, GUARD_REMOVE), "remove");
	require(!faults(at + PAGE) && !at[PAGE], "page after removal");
	victim_pass();
}
