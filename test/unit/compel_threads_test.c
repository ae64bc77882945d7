// SPDX-License-Identifier: GPL-2.0
/*
 * A busy process is stopped, injected and let go again and again, for a second:
 * threads that read, sleep, fork, map, compute and fight for a lock, with a
 * timer's signals and queued signals coming in. None of them may notice.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "compel.h"
#include "unit.h"

enum { THREADS = 6, MAX_TIDS = 64, TEST_MS = 1000 };

static struct shared {
	volatile int ready, stop;
	volatile long alarms, values;
	volatile long loops[THREADS];
	char complaint[128];
} * shared;

static int pipe_fds[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long locked_count, locked_by[2];

static void complain(const char *what)
{
	snprintf(shared->complaint, sizeof(shared->complaint), "%s: errno %d", what, errno);
}

/* ---- the victim --------------------------------------------------------- */

static void on_alarm(int sig)
{
	__atomic_add_fetch(&shared->alarms, 1, __ATOMIC_RELAXED);
}

static void on_value(int sig, siginfo_t *info, void *uc)
{
	__atomic_add_fetch(&shared->values, info->si_value.sival_int, __ATOMIC_RELAXED);
}

static void read_once(int thread)
{
	char c;

	if (read(pipe_fds[0], &c, 1) != 1)
		complain("read");
}

static void write_once(int thread)
{
	struct timespec pause = { .tv_nsec = 100000 };
	char c = 1;
	int ret;

	if (write(pipe_fds[1], &c, 1) != 1)
		complain("write");
	ret = clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	if (ret && ret != EINTR)
		complain("clock_nanosleep");
}

static void lock_once(int thread)
{
	pthread_mutex_lock(&lock);
	locked_count++;
	pthread_mutex_unlock(&lock);
	locked_by[thread - 2]++;
}

static void compute_once(int thread)
{
	static double wanted;
	double x = 1;

	for (int i = 1; i < 2000; i++)
		x = x * 1.0000001 + 1.0 / i;
	if (wanted && x != wanted)
		complain("floating point");
	wanted = x;
}

static void fork_once(int thread)
{
	int status = 0;
	pid_t pid;
	char *p;

	p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || munmap(p, 65536))
		complain("mmap");
	pid = syscall(SYS_fork);
	if (pid == 0)
		syscall(SYS_exit_group, 5);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 5 << 8)
		complain("fork");
	usleep(2000);
}

static void (*const works[THREADS])(int thread) = {
	read_once, write_once, lock_once, lock_once, compute_once, fork_once,
};

static void *thread_main(void *arg)
{
	int thread = (int)(intptr_t)arg;

	while (!shared->stop) {
		works[thread](thread);
		shared->loops[thread]++;
	}
	if (thread == 1 && write(pipe_fds[1], "........", 8) != 8) /* for the reader's last read */
		complain("last write");
	return NULL;
}

static int victim_main(void)
{
	struct sigaction alarm_action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct sigaction value_action = { .sa_sigaction = on_value,
					  .sa_flags = SA_RESTART | SA_SIGINFO };
	struct itimerval every_ms = { { 0, 1000 }, { 0, 1000 } };
	pthread_t threads[THREADS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	check_eq(pipe(pipe_fds), 0);
	check_eq(sigaction(SIGALRM, &alarm_action, NULL), 0);
	check_eq(sigaction(SIGRTMIN + 1, &value_action, NULL), 0);
	check_eq(setitimer(ITIMER_REAL, &every_ms, NULL), 0);
	for (intptr_t i = 0; i < THREADS; i++)
		check_eq(pthread_create(&threads[i], NULL, thread_main, (void *)i), 0);
	shared->ready = 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return locked_count == locked_by[0] + locked_by[1] ? 0 : 1;
}

/* ---- the tracer --------------------------------------------------------- */

static int tids_of(pid_t pid, pid_t *tids)
{
	struct dirent *entry;
	char path[64];
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	check(dir);
	while ((entry = readdir(dir)) && count < MAX_TIDS)
		if (atoi(entry->d_name))
			tids[count++] = atoi(entry->d_name);
	closedir(dir);
	return count;
}

static void round_trip(pid_t pid, int round)
{
	struct compel_inject *inject;
	struct compel_stop stop;
	pid_t tids[MAX_TIDS];
	int count = tids_of(pid, tids);

	for (int i = 0; i < count; i++)
		check_eq(compel_seize_begin(tids[i]), 0);
	for (int i = 0; i < count; i++) {
		check_eq(compel_seize_wait(tids[i], &stop), 0);
		check_eq(stop.state, COMPEL_ALIVE);
	}
	check_eq(compel_inject_begin(pid, tids[round % count], &inject), 0);
	for (int i = 0; i < count; i++) {
		struct compel_call calls[] = { { .nr = SYS_getpid }, { .nr = SYS_gettid } };

		check_eq(compel_batch_in(inject, tids[i], calls, 2), 0);
		check_eq(calls[0].ret, pid);
		check_eq(calls[1].ret, tids[i]);
	}
	check_eq(compel_inject_end(&inject), 0);
	for (int i = 0; i < count; i++)
		check_eq(compel_detach(tids[i]), 0);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

int main(void)
{
	int64_t end = now_ms() + TEST_MS;
	long values = 0;
	int status;
	pid_t pid;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(shared != MAP_FAILED);
	pid = fork();
	check(pid >= 0);
	if (!pid)
		_exit(victim_main());
	while (!shared->ready)
		usleep(100);

	for (int round = 0; now_ms() < end; round++) {
		int value = round % 97;

		round_trip(pid, round);
		if (sigqueue(pid, SIGRTMIN + 1, (union sigval){ .sival_int = value }) == 0)
			values += value;
		usleep(round % 8 * 200);
	}
	for (int i = 0; i < 2000 && shared->values != values; i++)
		usleep(1000);
	check_eq(shared->values, values);
	shared->stop = 1;
	check_eq(waitpid(pid, &status, 0), pid);
	if (shared->complaint[0])
		fprintf(stderr, "%s\n", shared->complaint);
	check(!shared->complaint[0]);
	check_eq(status, 0);
	for (int i = 0; i < THREADS; i++)
		check(shared->loops[i] > 0);
	return 0;
}
