// SPDX-License-Identifier: GPL-2.0
/*
 * The userfaultfd floor of this machine: what no lazy restore can beat. Prints
 * JSON: copy rate by piece size and by workers, and the latency of one fault
 * through a handler that sleeps in poll and through one that spins.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, FAULTS = 4000 };
static const size_t AREA = 256UL << 20;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int arm(void *area, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .range = { (uintptr_t)area, len },
				       .mode = UFFDIO_REGISTER_MODE_MISSING };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (uffd < 0)
		die("userfaultfd");
	if (ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
		die("userfaultfd setup");
	return uffd;
}

static char *map_area(size_t len)
{
	char *area = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		die("mmap");
	return area;
}

static void copy(int uffd, char *dst, const char *src, size_t len)
{
	struct uffdio_copy arg = { .dst = (uintptr_t)dst, .src = (uintptr_t)src, .len = len };

	if (ioctl(uffd, UFFDIO_COPY, &arg))
		die("UFFDIO_COPY");
}

struct copy_work {
	int uffd;
	char *dst;
	const char *src;
	size_t len, piece;
};

static void *copy_worker(void *arg)
{
	struct copy_work *work = arg;

	for (size_t off = 0; off < work->len; off += work->piece)
		copy(work->uffd, work->dst + off, work->src, work->piece);
	return NULL;
}

/* GB/s of UFFDIO_COPY in pieces, from one warm buffer, by `workers` threads. */
static double copy_rate(size_t piece, int workers)
{
	char *area = map_area(AREA), *src = map_area(piece);
	int uffd = arm(area, AREA);
	struct copy_work work[4];
	pthread_t threads[4];
	double start, end;

	memset(src, 1, piece);
	start = now();
	for (int i = 0; i < workers; i++) {
		work[i] = (struct copy_work){ uffd, area + AREA / workers * i, src, AREA / workers,
					      piece };
		pthread_create(&threads[i], NULL, copy_worker, &work[i]);
	}
	for (int i = 0; i < workers; i++)
		pthread_join(threads[i], NULL);
	end = now();
	close(uffd);
	munmap(area, AREA);
	munmap(src, piece);
	return AREA / (end - start) / 1e9;
}

struct handler {
	int uffd;
	int spins;
	atomic_int stop;
	char *src;
};

static void *handle_faults(void *arg)
{
	struct handler *handler = arg;
	struct pollfd pfd = { .fd = handler->uffd, .events = POLLIN };

	while (!handler->stop) {
		struct uffd_msg msg;

		if (!handler->spins && poll(&pfd, 1, 50) <= 0)
			continue;
		if (read(handler->uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		copy(handler->uffd, (char *)(uintptr_t)(msg.arg.pagefault.address & ~(PAGE - 1UL)),
		     handler->src, PAGE);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void fault_latency(int spins, double *p50, double *p99)
{
	static double samples[FAULTS];
	char *area = map_area((size_t)FAULTS * PAGE);
	struct handler handler = { .uffd = arm(area, (size_t)FAULTS * PAGE),
				   .spins = spins,
				   .src = map_area(PAGE) };
	pthread_t thread;

	memset(handler.src, 1, PAGE);
	pthread_create(&thread, NULL, handle_faults, &handler);
	for (int i = 0; i < FAULTS; i++) {
		double start = now();

		*(volatile char *)(area + (size_t)i * PAGE);
		samples[i] = (now() - start) * 1e6;
	}
	handler.stop = 1;
	pthread_join(thread, NULL);
	qsort(samples, FAULTS, sizeof(samples[0]), compare);
	*p50 = samples[FAULTS / 2];
	*p99 = samples[FAULTS * 99 / 100];
	close(handler.uffd);
	munmap(area, (size_t)FAULTS * PAGE);
}

int main(void)
{
	double p50[2], p99[2];

	fault_latency(0, &p50[0], &p99[0]);
	fault_latency(1, &p50[1], &p99[1]);
	printf("{\"copy_4k_gbps\": %.2f, \"copy_64k_gbps\": %.2f, \"copy_512k_gbps\": %.2f, "
	       "\"copy_512k_2_workers_gbps\": %.2f, \"fault_sleep_p50_us\": %.1f, "
	       "\"fault_sleep_p99_us\": %.1f, \"fault_spin_p50_us\": %.1f, "
	       "\"fault_spin_p99_us\": %.1f}\n",
	       copy_rate(4096, 1), copy_rate(65536, 1), copy_rate(524288, 1), copy_rate(524288, 2),
	       p50[0], p99[0], p50[1], p99[1]);
	return 0;
}
