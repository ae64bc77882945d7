// SPDX-License-Identifier: GPL-2.0
/* Counters larger than 32 bits, EFD_SEMAPHORE, O_NONBLOCK, a duplicate. */
#include <sys/eventfd.h>

#include "victim.h"

int main(int argc, char **argv)
{
	uint64_t large = 1ULL << 40, value;
	int plain, semaphore, twin;

	victim_begin(argc, argv);
	plain = eventfd(0, EFD_CLOEXEC);
	require(write(plain, &large, sizeof(large)) == sizeof(large), "write");
	semaphore = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	twin = dup(semaphore);
	require(plain >= 0 && semaphore >= 0 && twin >= 0, "create");
	victim_ready();
	require(read(plain, &value, sizeof(value)) == sizeof(value) && value == large,
		"counter is %lu", value);
	require(fcntl(plain, F_GETFD) == FD_CLOEXEC, "close-on-exec");
	for (int i = 0; i < 2; i++)
		require(read(i ? twin : semaphore, &value, sizeof(value)) == sizeof(value) &&
				value == 1,
			"semaphore gave %lu", value);
	require(read(semaphore, &value, sizeof(value)) < 0 && errno == EAGAIN, "must be empty");
	victim_pass();
}
