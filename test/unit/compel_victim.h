/* SPDX-License-Identifier: GPL-2.0 */
/* Children that tests of compel stop, inject and let go. For inclusion by such a test. */
#ifndef TEST_UNIT_COMPEL_VICTIM_H
#define TEST_UNIT_COMPEL_VICTIM_H

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compel.h"
#include "unit.h"

static inline void log_errors(bool is_error, const char *fmt, va_list args)
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
static inline struct victim victim_start(int (*fn)(int in, int out))
{
	int down[2], up[2];
	struct victim victim;

	check(pipe(down) == 0 && pipe(up) == 0);
	victim.pid = fork();
	check(victim.pid >= 0);
	if (!victim.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(100); /* the machine may be busy */
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

static inline void victim_ready(const struct victim *victim)
{
	char c;

	check_eq(read(victim->from, &c, 1), 1);
}

static inline int victim_end(const struct victim *victim)
{
	int status;

	close(victim->to);
	close(victim->from);
	check_eq(waitpid(victim->pid, &status, 0), victim->pid);
	return status;
}

static inline void nap(void)
{
	usleep(20000);
}

static inline int64_t remote_getpid(pid_t pid)
{
	struct compel_inject *inject;
	int64_t ret;

	check_eq(compel_inject_begin(pid, pid, &inject), 0);
	check_eq(compel_syscall(inject, SYS_getpid, (uint64_t[6]){ 0 }, &ret), 0);
	check_eq(compel_inject_end(&inject), 0);
	check(!inject);
	return ret;
}

static inline int64_t batch_getpid(pid_t pid)
{
	struct compel_call calls[200];
	struct compel_inject *inject;

	for (int i = 0; i < 200; i++)
		calls[i] = (struct compel_call){ .nr = SYS_getpid };
	calls[199].nr = SYS_getppid;
	check_eq(compel_inject_begin(pid, pid, &inject), 0);
	check_eq(compel_batch(inject, calls, 200), 0);
	check_eq(compel_inject_end(&inject), 0);
	check_eq(calls[199].ret, getpid());
	return calls[0].ret;
}

static inline void proc_text(pid_t pid, const char *file, char *buf, size_t size)
{
	char path[64];
	size_t len = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY);
	check(fd >= 0);
	while ((n = read(fd, buf + len, size - 1 - len)) > 0)
		len += n;
	close(fd);
	buf[len] = '\0';
}

static inline int victim_reads(int in, int out)
{
	char c = 'r';

	if (write(out, &c, 1) != 1)
		return 1;
	return read(in, &c, 1) == 1 && c == 'x' ? 0 : 2; /* EINTR must not be seen */
}

/* The same as victim_start(), and it waits in a call now, for what victim_wake() writes. */
static inline struct victim victim_start_waiting(int (*fn)(int in, int out))
{
	struct victim victim = victim_start(fn);

	victim_ready(&victim);
	nap();
	return victim;
}

/* It goes on, and finds that nothing has happened. */
static inline void victim_wake(const struct victim *victim)
{
	check_eq(write(victim->to, "x", 1), 1);
	check_eq(victim_end(victim), 0);
}

static inline struct compel_inject *victim_inject(const struct victim *victim)
{
	struct compel_inject *inject;
	struct compel_stop stop;

	check_eq(compel_seize(victim->pid, &stop), 0);
	check_eq(compel_inject_begin(victim->pid, victim->pid, &inject), 0);
	return inject;
}

/* Stops it, asks its pid from within, and lets it go. */
static inline void interrupt_often(const struct victim *victim, int count,
				   int64_t (*ask)(pid_t pid))
{
	struct compel_stop stop;

	while (count--) {
		check_eq(compel_seize(victim->pid, &stop), 0);
		check_eq(stop.state, COMPEL_ALIVE);
		check_eq(ask(victim->pid), victim->pid);
		check_eq(compel_detach(victim->pid), 0);
	}
}

#endif
