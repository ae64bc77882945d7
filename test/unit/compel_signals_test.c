// SPDX-License-Identifier: GPL-2.0
/* Signals that come, calls that time out and tracers that die while a task is injected. */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "compel.h"
#include "compel_victim.h"
#include "unit.h"

/* ---- signals in flight -------------------------------------------------- */

enum { STORM = 2000 };
static volatile sig_atomic_t storm_count, storm_sum;

static void storm_handler(int sig, siginfo_t *info, void *uc)
{
	storm_count++;
	storm_sum += info->si_value.sival_int;
}

static int victim_counts(int in, int out)
{
	struct sigaction action = { .sa_sigaction = storm_handler, .sa_flags = SA_SIGINFO };
	struct timespec slice = { .tv_nsec = 1000000 };
	char c = 'r';

	sigaction(SIGRTMIN, &action, NULL);
	if (write(out, &c, 1) != 1)
		return 1;
	for (int i = 0; i < 10000 && storm_count < STORM; i++)
		nanosleep(&slice, NULL);
	if (storm_count != STORM)
		return 2;
	while (read(in, &c, 1) > 0) /* not before the tracer has let go */
		;
	return storm_sum == STORM * (STORM - 1) / 2 ? 0 : 3;
}

static void test_signals_in_flight(void)
{
	struct victim victim = victim_start(victim_counts);
	pid_t sender;

	victim_ready(&victim);
	sender = fork();
	check(sender >= 0);
	if (!sender) {
		for (int i = 0; i < STORM; i++) {
			while (sigqueue(victim.pid, SIGRTMIN, (union sigval){ .sival_int = i }) < 0)
				usleep(100);
			if (i % 16 == 0)
				usleep(50);
		}
		_exit(0);
	}
	interrupt_often(&victim, 300, batch_getpid);
	check_eq(waitpid(sender, NULL, 0), sender);
	check_eq(victim_end(&victim), 0);
}

/* ---- calls that time out ------------------------------------------------ */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Interrupted after NAP_MS, a sleep that starts over takes both together. */
enum { NAP_MS = 600, SLEEP_MS = 900 };

static int victim_sleeps(int in, int out)
{
	struct timespec span = { .tv_nsec = SLEEP_MS * 1000000 };
	int64_t start = now_ms(), passed;
	char c = 'r';

	if (write(out, &c, 1) != 1)
		return 1;
	if (syscall(SYS_nanosleep, &span, NULL) != 0)
		return 2;
	passed = now_ms() - start;
	while (read(in, &c, 1) > 0) /* not before the tracer has let go */
		;
	if (passed >= SLEEP_MS && passed < NAP_MS + SLEEP_MS)
		return 0;
	fprintf(stderr, "slept %lld ms, not %d\n", (long long)passed, SLEEP_MS);
	return 3;
}

static volatile sig_atomic_t got_signal;

static void note_signal(int sig)
{
	got_signal = 1;
}

static int victim_suspends(int in, int out)
{
	sigset_t blocked, none;
	char c = 'r';

	signal(SIGUSR1, note_signal);
	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	if (write(out, &c, 1) != 1)
		return 1;
	if (sigsuspend(&none) != -1 || errno != EINTR || !got_signal)
		return 2;
	sigprocmask(SIG_BLOCK, NULL, &none);
	return sigismember(&none, SIGUSR1) ? 0 : 3;
}

static void test_sleepers(void)
{
	struct victim sleeper = victim_start(victim_sleeps),
		      suspended = victim_start(victim_suspends);
	struct compel_stop stop;

	victim_ready(&sleeper);
	victim_ready(&suspended);
	usleep(NAP_MS * 1000);
	for (int i = 0; i < 5; i++) {
		check_eq(compel_seize_begin(sleeper.pid), 0);
		check_eq(compel_seize_begin(suspended.pid), 0);
		check_eq(compel_seize_wait(sleeper.pid, &stop), 0);
		check_eq(compel_seize_wait(suspended.pid, &stop), 0);
		check_eq(batch_getpid(sleeper.pid), sleeper.pid);
		check_eq(batch_getpid(suspended.pid), suspended.pid);
		check_eq(compel_detach(sleeper.pid), 0);
		check_eq(compel_detach(suspended.pid), 0);
	}
	kill(suspended.pid, SIGUSR1);
	check_eq(victim_end(&suspended), 0);
	check_eq(victim_end(&sleeper), 0); /* the other one holds its pipe, too */
}

/* The tracer is killed in the middle of an injection: the task goes on as if nothing had been. */
static void test_tracer_killed(int (*fn)(int in, int out), bool ends_with_batch)
{
	struct victim victim = victim_start_waiting(fn);
	struct compel_call call = { .nr = SYS_getpid };
	struct compel_inject *inject;
	struct compel_stop stop;
	int64_t ret;
	pid_t tracer;

	tracer = fork();
	check(tracer >= 0);
	if (!tracer) {
		check_eq(compel_seize(victim.pid, &stop), 0);
		check_eq(compel_inject_begin(victim.pid, victim.pid, &inject), 0);
		check_eq(compel_batch(inject, &call, 1), 0);
		if (!ends_with_batch)
			check_eq(compel_syscall(inject, SYS_getpid, call.args, &ret), 0);
		kill(getpid(), SIGKILL);
	}
	check_eq(waitpid(tracer, NULL, 0), tracer);
	nap();
	victim_wake(&victim);
}

int main(void)
{
	compel_set_log(log_errors);
	test_signals_in_flight();
	test_sleepers();
	for (int i = 0; i < 4; i++)
		test_tracer_killed(i & 1 ? victim_reads : victim_sleeps, i & 2);
	return 0;
}
