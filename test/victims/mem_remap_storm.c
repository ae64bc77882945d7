// SPDX-License-Identifier: GPL-2.0
/* victim: modes=lazy,daemon,remote */
/* A thread moves memory to and fro without pause, each time of which the kernel refuses to fill
 * any page: the others' pages come nevertheless, and soon. */
#include "victim.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LEN = 8 << 20, PIECE = 2 * PAGE };

static char *places[2];
static atomic_bool is_over;

static void *move_about(void *arg)
{
	for (int i = 0; !atomic_load(&is_over); i = !i) {
		char *to =
			mremap(places[i], PIECE, PIECE, MREMAP_MAYMOVE | MREMAP_FIXED, places[!i]);

		require(to == places[!i], "mremap");
	}
	return NULL;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	double start;
	char *at;

	victim_begin(argc, argv);
	at = victim_map(LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	victim_fill(at, LEN, 1);
	for (int i = 0; i < 2; i++)
		places[i] = victim_map(PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	victim_fill(places[0], PIECE, 2);

	victim_ready();

	start = now();
	require(!pthread_create(&thread, NULL, move_about, NULL), "pthread_create");
	require_filled(at, LEN, 1);
	start = now() - start;
	atomic_store(&is_over, true);
	pthread_join(thread, NULL);
	fprintf(stderr, "%.3f s\n", start);
	require(start < 10, "all pages took %.1f s", start);
	victim_pass();
}
