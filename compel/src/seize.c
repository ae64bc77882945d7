// SPDX-License-Identifier: GPL-2.0
/*
 * Stopping threads and letting them go.
 *
 * The stop we want is PTRACE_EVENT_STOP, the answer to PTRACE_INTERRUPT: it
 * lies inside the kernel's signal delivery, before any signal is taken off a
 * queue, and an interrupted system call is restarted when the thread leaves
 * it. A signal that was just being delivered is reported first; it goes back
 * into its queue.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

enum {
	DETACH_TIMEOUT_MS = 100,
	REQUEUE_LIMIT = 256, /* signals that come faster than we put them back */
};

static unsigned int stop_timeout_ms = 5000;

void compel_set_stop_timeout(unsigned int ms)
{
	stop_timeout_ms = ms;
}

/* Set when the kernel forbids suspending seccomp (no CAP_SYS_ADMIN, or we are filtered ourselves).
 */
static bool seccomp_is_kept;

bool compel_seccomp_is_suspended(void)
{
	return !seccomp_is_kept;
}

/* ---- /proc -------------------------------------------------------------- */

static void proc_read(pid_t tid, const char *file, char *buf, size_t size)
{
	char path[64];
	ssize_t len = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", tid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, buf, size - 1);
		close(fd);
	}
	buf[len > 0 ? len : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

/* The letter of /proc/TID/stat, 0 if there is no such thread. */
static char proc_state(pid_t tid)
{
	char stat[256];
	const char *end;

	proc_read(tid, "stat", stat, sizeof(stat));
	end = strrchr(stat, ')');
	return end && end[1] ? end[2] : 0;
}

static int proc_tracer(pid_t tid)
{
	char status[1024], path[64];
	const char *line;
	ssize_t len = -1;
	int fd, tracer = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, status, sizeof(status) - 1);
		close(fd);
	}
	status[len > 0 ? len : 0] = '\0';
	line = strstr(status, "\nTracerPid:");
	if (line)
		sscanf(line, "\nTracerPid: %d", &tracer);
	return tracer;
}

/* ---- waiting ------------------------------------------------------------ */

/* -ESRCH for a thread that ended, 0 for one that stopped. */
static int wait_result(pid_t tid, int status)
{
	if (WIFSTOPPED(status))
		return 0;
	compel_debug("task %d: gone (status 0x%x)", tid, status);
	return -ESRCH;
}

int compel_wait(pid_t tid, int *status)
{
	pid_t ret;

	do {
		ret = waitpid(tid, status, __WALL);
	} while (ret < 0 && errno == EINTR);
	return ret == tid ? wait_result(tid, *status) : -ESRCH;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

/* waitpid(2) takes no time limit: looks, first without a pause, then ever less often. */
int compel_wait_for(pid_t tid, int *status, unsigned int timeout_ms)
{
	const uint64_t start = now_us();

	for (;;) {
		pid_t ret = waitpid(tid, status, __WALL | WNOHANG);
		uint64_t passed;

		if (ret == tid)
			return wait_result(tid, *status);
		if (ret < 0 && errno != EINTR)
			return -ESRCH;
		passed = now_us() - start;
		if (passed > timeout_ms * 1000ull)
			return -ETIMEDOUT;
		if (passed < 100)
			sched_yield();
		else
			usleep(passed < 10000 ? 20 : 1000);
	}
}

int compel_wait_stop(pid_t tid, int *status)
{
	return compel_wait_for(tid, status, stop_timeout_ms);
}

/* ---- seize -------------------------------------------------------------- */

static int seize_failed(pid_t tid, int err)
{
	char state = proc_state(tid);
	int tracer;

	if (err == ESRCH || !state || state == 'Z' || state == 'X')
		return -ESRCH;
	tracer = proc_tracer(tid);
	if (tracer)
		return compel_fail(-err, "task %d: is traced by %d, which must let go first", tid,
				   tracer);
	return compel_fail(-err, "task %d: may not be traced by us", tid);
}

int compel_seize_begin(pid_t tid)
{
	const unsigned long options = PTRACE_O_TRACESYSGOOD;
	int ret;

	ret = ptrace(PTRACE_SEIZE, tid, NULL,
		     options | (seccomp_is_kept ? 0 : PTRACE_O_SUSPEND_SECCOMP));
	if (ret < 0 && errno != ESRCH && !seccomp_is_kept) {
		ret = ptrace(PTRACE_SEIZE, tid, NULL, options);
		if (ret == 0)
			seccomp_is_kept = true;
	}
	if (ret < 0)
		return seize_failed(tid, errno);
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
		return errno == ESRCH ? -ESRCH : compel_fail(-errno, "task %d: interrupt", tid);
	return 0;
}

static int seize_timed_out(pid_t tid)
{
	char wchan[128], call[128];

	proc_read(tid, "wchan", wchan, sizeof(wchan));
	proc_read(tid, "syscall", call, sizeof(call));
	return compel_fail(
		-ETIMEDOUT,
		"task %d: did not stop within %u ms: state %c, waits in %s, system call %s "
		"(a vfork parent waits for its child; a control group may be frozen)",
		tid, stop_timeout_ms, proc_state(tid) ?: '?', *wchan ? wchan : "?",
		*call ? call : "?");
}

int compel_requeue(pid_t tid, int sig, uint64_t mask, int *status)
{
	/*
	 * A tracer's answer that is blocked by then is put back where it came from
	 * (kernel/signal.c, ptrace_signal()). SIGSTOP cannot be blocked: it stops the
	 * group, which is what it was sent for.
	 */
	int ret = compel_mask_set(tid, signals_all);

	for (int i = 0; !ret && i < REQUEUE_LIMIT; i++) {
		ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
		if (ptrace(PTRACE_CONT, tid, NULL, sig) < 0)
			return -ESRCH;
		ret = compel_wait_for(tid, status, stop_timeout_ms);
		if (!ret && status_is_event_stop(*status))
			return compel_mask_set(tid, mask);
		sig = WSTOPSIG(*status);
	}
	return ret == -ESRCH
		       ? ret
		       : compel_fail(-EBUSY, "task %d: signal %d cannot be put back", tid, sig);
}

static void seize_report(int status, struct compel_stop *out)
{
	bool is_group_stop = WSTOPSIG(status) != SIGTRAP;

	out->state = is_group_stop ? COMPEL_STOPPED : COMPEL_ALIVE;
	out->stop_signal = is_group_stop ? WSTOPSIG(status) : 0;
}

/* The thread ended while we waited: a leader that nobody reaped yet is a zombie. */
static int seize_gone(pid_t tid, struct compel_stop *out)
{
	char state = proc_state(tid);

	if (state != 'Z')
		return -ESRCH;
	*out = (struct compel_stop){ .state = COMPEL_ZOMBIE };
	return 0;
}

int compel_seize_wait(pid_t tid, struct compel_stop *out)
{
	uint64_t mask;
	int status;
	int ret;

	ret = compel_wait_for(tid, &status, stop_timeout_ms);
	if (ret == -ETIMEDOUT)
		return seize_timed_out(tid);
	if (!ret && !status_is_event_stop(status)) {
		/* A signal-delivery-stop; the interrupt is still to come. */
		ret = compel_mask_get(tid, &mask);
		if (!ret)
			ret = compel_requeue(tid, WSTOPSIG(status), mask, &status);
	}
	if (ret == -ESRCH)
		return seize_gone(tid, out);
	if (!ret)
		seize_report(status, out);
	return ret;
}

int compel_seize(pid_t tid, struct compel_stop *out)
{
	int ret = compel_seize_begin(tid);

	if (ret == -ESRCH)
		return seize_gone(tid, out);
	return ret ? ret : compel_seize_wait(tid, out);
}

/* A signal-delivery-stop is left with its signal, so that it is not lost. */
static int detach_from(pid_t tid, int status)
{
	int sig = status_is_event_stop(status) ? 0 : WSTOPSIG(status);

	if (ptrace(PTRACE_DETACH, tid, NULL, sig) == 0)
		return 0;
	return errno == ESRCH ? -ESRCH : compel_fail(-errno, "task %d: detach", tid);
}

int compel_detach(pid_t tid)
{
	int status, ret;

	if (ptrace(PTRACE_DETACH, tid, NULL, NULL) == 0)
		return 0;
	if (errno != ESRCH)
		return compel_fail(-errno, "task %d: detach", tid);
	/* Dead, then its real parent hears of it only after we have; or not yet stopped. */
	ret = compel_wait_for(tid, &status, DETACH_TIMEOUT_MS);
	return ret ? ret : detach_from(tid, status);
}
