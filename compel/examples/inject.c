// SPDX-License-Identifier: GPL-2.0
/*
 * The smallest use of compel: makes a running process write a line to its own
 * standard output and tell its pid, then lets it go on.
 *
 *     make examples; sleep 100 & build/examples/inject $!
 *     build/examples/inject --bench PID: what each step costs, medians in microseconds
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "compel.h"

static void print_log(bool is_error, const char *fmt, va_list args)
{
	fputs(is_error ? "error: " : "", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

static int inject_line(struct compel_inject *inject)
{
	static const char line[] = "hello from inside\n";
	struct compel_call calls[2] = { { .nr = SYS_getpid } };
	uint64_t scratch;
	size_t size;
	int ret;

	ret = compel_scratch(inject, &scratch, &size);
	if (!ret)
		ret = compel_write(inject, scratch, line, strlen(line));
	if (ret)
		return ret;
	calls[1] = (struct compel_call){ .nr = SYS_write,
					 .args = { STDOUT_FILENO, scratch, strlen(line) } };
	ret = compel_batch(inject, calls, 2);
	if (!ret)
		printf("getpid() in it: %lld, write(): %lld\n", (long long)calls[0].ret,
		       (long long)calls[1].ret);
	return ret;
}

static int hello(pid_t pid)
{
	struct compel_inject *inject = NULL;
	struct compel_stop stop;
	int ret;

	ret = compel_seize(pid, &stop);
	if (ret || stop.state == COMPEL_ZOMBIE)
		return 1;
	ret = compel_inject_begin(pid, pid, &inject);
	if (!ret)
		ret = inject_line(inject);
	compel_inject_end(&inject);
	compel_detach(pid);
	return !!ret;
}

/* ---- bench -------------------------------------------------------------- */

enum { ROUNDS = 301, BATCH = 30, STEPS = 7 };
static const char *const step_names[STEPS] = {
	"seize", "context get", "begin", "first batch of 30", "second batch", "end", "detach",
};
static double samples[STEPS + 1][ROUNDS];

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int bench_round(pid_t pid, int round)
{
	struct compel_call calls[BATCH];
	static struct compel_context ctx;
	struct compel_inject *inject;
	struct compel_stop stop;
	double at[STEPS + 1];
	int ret = 0, step = 0;

	for (int i = 0; i < BATCH; i++)
		calls[i] = (struct compel_call){ .nr = SYS_getppid };
	at[step++] = now_us();
	ret |= compel_seize(pid, &stop);
	at[step++] = now_us();
	ret |= compel_context_get(pid, &ctx);
	at[step++] = now_us();
	ret |= compel_inject_begin(pid, pid, &inject);
	at[step++] = now_us();
	ret |= compel_batch(inject, calls, BATCH);
	at[step++] = now_us();
	ret |= compel_batch(inject, calls, BATCH);
	at[step++] = now_us();
	ret |= compel_inject_end(&inject);
	at[step++] = now_us();
	ret |= compel_detach(pid);
	at[step++] = now_us();
	for (int i = 0; i < STEPS; i++)
		samples[i][round] = at[i + 1] - at[i];
	samples[STEPS][round] = at[STEPS] - at[0];
	return ret;
}

static int bench(pid_t pid)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (bench_round(pid, i))
			return 1;
		usleep(500);
	}
	for (int i = 0; i <= STEPS; i++) {
		qsort(samples[i], ROUNDS, sizeof(double), compare);
		printf("%-20s p50 %7.1f  p90 %7.1f\n", i < STEPS ? step_names[i] : "all",
		       samples[i][ROUNDS / 2], samples[i][ROUNDS * 9 / 10]);
	}
	return 0;
}

int main(int argc, char **argv)
{
	bool is_bench = argc == 3 && strcmp(argv[1], "--bench") == 0;

	if (argc != 2 && !is_bench) {
		fprintf(stderr, "usage: %s [--bench] PID\n", argv[0]);
		return 2;
	}
	compel_set_log(is_bench ? NULL : print_log);
	return is_bench ? bench(atoi(argv[2])) : hello(atoi(argv[1]));
}
