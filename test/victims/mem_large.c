// SPDX-License-Identifier: GPL-2.0
/* victim: modes=eager,lazy,daemon,remote,migrate */
/* More memory than is filled before the first instruction, in huge pages where the machine has
 * them. */
#include "victim.h"

enum { LEN = 64 << 20 };

int main(int argc, char **argv)
{
	char *at;

	victim_begin(argc, argv);
	at = victim_map(LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	madvise(at, LEN, MADV_HUGEPAGE);
	victim_fill(at, LEN, 1);

	victim_ready();

	require_filled(at, LEN, 1);
	victim_pass();
}
