// SPDX-License-Identifier: GPL-2.0
/* Seizing own children, running system calls in them and leaving without trace. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "compel.h"
#include "unit.h"

static void log_errors(bool is_error, const char *fmt, va_list args)
{
	if (!is_error)
		return;
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

struct victim {
	pid_t pid;
	int from, to; /* pipes */
};

/* A child that runs fn(read end, write end); its exit status tells. */
static struct victim victim_start(int (*fn)(int in, int out))
{
	int down[2], up[2];
	struct victim victim;

	check(pipe(down) == 0 && pipe(up) == 0);
	victim.pid = fork();
	check(victim.pid >= 0);
	if (!victim.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(20);
		close(down[1]);
		close(up[0]);
		_exit(fn(down[0], up[1]));
	}
	close(down[0]);
	close(up[1]);
	victim.to = down[1];
	victim.from = up[0];
	return victim;
}

static void victim_ready(const struct victim *victim)
{
	char c;

	check_eq(read(victim->from, &c, 1), 1);
}

static int victim_end(const struct victim *victim)
{
	int status;

	close(victim->to);
	close(victim->from);
	check_eq(waitpid(victim->pid, &status, 0), victim->pid);
	return status;
}

static void nap(void)
{
	usleep(20000);
}

static int64_t remote_getpid(pid_t pid)
{
	struct compel_inject *inject;
	int64_t ret;

	check_eq(compel_inject_begin(pid, pid, &inject), 0);
	check_eq(compel_syscall(inject, SYS_getpid, (uint64_t[6]){ 0 }, &ret), 0);
	check_eq(compel_inject_end(&inject), 0);
	check(!inject);
	return ret;
}

/* ---- a thread that computes, and one that sleeps in a call -------------- */

static int victim_spins(int in, int out)
{
	volatile uint64_t counter = 0;
	char c = 'r';

	if (fcntl(in, F_SETFL, O_NONBLOCK) < 0 || write(out, &c, 1) != 1)
		return 1;
	while (read(in, &c, 1) != 0)
		for (int i = 0; i < 10000; i++)
			counter++;
	return 0;
}

static int victim_reads(int in, int out)
{
	char c = 'r';

	if (write(out, &c, 1) != 1)
		return 1;
	return read(in, &c, 1) == 1 && c == 'x' ? 0 : 2; /* EINTR must not be seen */
}

static void test_spinning(void)
{
	struct victim victim = victim_start(victim_spins);
	struct compel_stop stop;

	victim_ready(&victim);
	for (int i = 0; i < 20; i++) {
		check_eq(compel_seize(victim.pid, &stop), 0);
		check_eq(stop.state, COMPEL_ALIVE);
		check_eq(remote_getpid(victim.pid), victim.pid);
		check_eq(compel_detach(victim.pid), 0);
	}
	check_eq(victim_end(&victim), 0);
}

static void test_interrupted_read(void)
{
	struct victim victim = victim_start(victim_reads);
	struct compel_stop stop;

	victim_ready(&victim);
	nap();
	for (int i = 0; i < 20; i++) {
		check_eq(compel_seize(victim.pid, &stop), 0);
		check_eq(remote_getpid(victim.pid), victim.pid);
		check_eq(compel_detach(victim.pid), 0);
	}
	check_eq(write(victim.to, "x", 1), 1);
	check_eq(victim_end(&victim), 0);
}

int main(void)
{
	compel_set_log(log_errors);
	test_spinning();
	test_interrupted_read();
	return 0;
}
