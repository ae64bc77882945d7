// SPDX-License-Identifier: GPL-2.0
/* Seizing own children, running system calls in them and leaving without trace. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "compel.h"
#include "compel_victim.h"
#include "unit.h"

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

static void test_spinning(void)
{
	struct victim victim = victim_start(victim_spins);

	victim_ready(&victim);
	interrupt_often(&victim, 20, remote_getpid);
	check_eq(victim_end(&victim), 0);
}

static void test_interrupted_read(int64_t (*ask)(pid_t pid))
{
	struct victim victim = victim_start_waiting(victim_reads);

	interrupt_often(&victim, 20, ask);
	victim_wake(&victim);
}

/* ---- no trace: mappings, dispositions, pending signals ------------------ */

/* The lines of /proc/PID/status that start with Sig or Shd: masks and queues. */
static void proc_signals(pid_t pid, char *buf, size_t size)
{
	char status[8192], *line, *save;

	proc_text(pid, "status", status, sizeof(status));
	*buf = '\0';
	for (line = strtok_r(status, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if ((strncmp(line, "Sig", 3) == 0 && line[3] != 'Q') ||
		    strncmp(line, "Shd", 3) == 0)
			strncat(buf, line, size - strlen(buf) - 1);
}

static int victim_blocks_sigtrap(int in, int out)
{
	siginfo_t info;
	sigset_t set;
	char c = 'r';

	sigemptyset(&set);
	sigaddset(&set, SIGTRAP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGUSR1, SIG_IGN);
	sigqueue(getpid(), SIGTRAP, (union sigval){ .sival_int = 77 });
	if (write(out, &c, 1) != 1 || read(in, &c, 1) != 1)
		return 1;
	if (sigwaitinfo(&set, &info) != SIGTRAP || info.si_value.sival_int != 77 ||
	    info.si_code != SI_QUEUE)
		return 2;
	return sigtimedwait(&set, &info, &(struct timespec){ 0 }) < 0 && errno == EAGAIN ? 0 : 3;
}

static int victim_ignores_sigtrap(int in, int out)
{
	struct sigaction action;
	char c = 'r';

	signal(SIGTRAP, SIG_IGN);
	if (write(out, &c, 1) != 1 || read(in, &c, 1) != 1)
		return 1;
	sigaction(SIGTRAP, NULL, &action);
	return action.sa_handler == SIG_IGN ? 0 : 2;
}

static void test_no_trace(int (*fn)(int in, int out))
{
	static char maps[2][1 << 18], signals[2][1024];
	struct victim victim = victim_start_waiting(fn);
	struct compel_stop stop;

	for (int i = 0; i < 5; i++) {
		check_eq(compel_seize(victim.pid, &stop), 0);
		proc_text(victim.pid, "maps", maps[0], sizeof(maps[0]));
		proc_signals(victim.pid, signals[0], sizeof(signals[0]));
		check_eq(batch_getpid(victim.pid), victim.pid);
		check_eq(remote_getpid(victim.pid), victim.pid);
		proc_text(victim.pid, "maps", maps[1], sizeof(maps[1]));
		proc_signals(victim.pid, signals[1], sizeof(signals[1]));
		check(strcmp(maps[0], maps[1]) == 0);
		if (strcmp(signals[0], signals[1]) != 0)
			fprintf(stderr, "%s\n%s\n", signals[0], signals[1]);
		check(strcmp(signals[0], signals[1]) == 0);
		check_eq(compel_detach(victim.pid), 0);
	}
	victim_wake(&victim);
}

/* ---- stopped, dead, dying ----------------------------------------------- */

static char proc_state(pid_t pid)
{
	char stat[1024];

	proc_text(pid, "stat", stat, sizeof(stat));
	return strrchr(stat, ')')[2];
}

static void test_group_stop(void)
{
	struct victim victim = victim_start_waiting(victim_reads);
	struct compel_stop stop;

	kill(victim.pid, SIGSTOP);
	nap();
	check_eq(proc_state(victim.pid), 'T');
	for (int i = 0; i < 5; i++) {
		check_eq(compel_seize(victim.pid, &stop), 0);
		check_eq(stop.state, COMPEL_STOPPED);
		check_eq(stop.stop_signal, SIGSTOP);
		check_eq(batch_getpid(victim.pid), victim.pid);
		check_eq(compel_detach(victim.pid), 0);
		usleep(1000);
		check_eq(proc_state(victim.pid), 'T');
	}
	kill(victim.pid, SIGCONT);
	victim_wake(&victim);
}

static void test_stop_while_injected(void)
{
	struct victim victim = victim_start_waiting(victim_reads);
	struct compel_call call = { .nr = SYS_getpid };
	struct compel_inject *inject;

	inject = victim_inject(&victim);
	kill(victim.pid, SIGSTOP);
	check_eq(compel_batch(inject, &call, 1), 0);
	check_eq(call.ret, victim.pid);
	check_eq(compel_inject_end(&inject), 0);
	check_eq(compel_detach(victim.pid), 0);
	nap();
	check_eq(proc_state(victim.pid), 'T');
	kill(victim.pid, SIGCONT);
	victim_wake(&victim);
}

static void test_killed(void)
{
	struct victim victim = victim_start(victim_reads);
	struct compel_call call = { .nr = SYS_getpid };
	struct compel_inject *inject;
	struct compel_stop stop;
	int64_t ret;

	victim_ready(&victim);
	inject = victim_inject(&victim);
	check_eq(compel_batch(inject, &call, 1), 0);
	kill(victim.pid, SIGKILL);
	check_eq(compel_syscall(inject, SYS_getpid, call.args, &ret), -ESRCH);
	check_eq(compel_batch(inject, &call, 1), -ESRCH);
	check_eq(compel_inject_end(&inject), -ESRCH);
	check_eq(compel_detach(victim.pid), -ESRCH);
	close(victim.to);
	close(victim.from);
	waitpid(victim.pid, NULL, 0);
	check_eq(compel_seize(victim.pid, &stop), -ESRCH);
}

static int victim_exits(int in, int out)
{
	return 7;
}

static void test_zombie(void)
{
	struct victim victim = victim_start(victim_exits);
	struct compel_stop stop;
	siginfo_t info;

	check_eq(waitid(P_PID, victim.pid, &info, WEXITED | WNOWAIT), 0);
	check_eq(compel_seize(victim.pid, &stop), 0);
	check_eq(stop.state, COMPEL_ZOMBIE);
	check_eq(WEXITSTATUS(victim_end(&victim)), 7);
}

/* ---- threads ------------------------------------------------------------ */

static volatile pid_t thread_tid;

static void *thread_waits(void *in)
{
	char c;

	thread_tid = syscall(SYS_gettid);
	return read(*(int *)in, &c, 1) == 1 ? NULL : in;
}

static int victim_threads(int in, int out)
{
	void *failed;
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_waits, &in))
		return 1;
	while (!thread_tid)
		usleep(100);
	if (write(out, (void *)&thread_tid, sizeof(thread_tid)) != sizeof(thread_tid))
		return 2;
	pthread_join(thread, &failed);
	return failed ? 3 : 0;
}

static void test_batch_in_thread(void)
{
	struct victim victim = victim_start(victim_threads);
	struct compel_call calls[] = { { .nr = SYS_gettid }, { .nr = SYS_getpid } };
	struct compel_inject *inject;
	struct compel_stop stop;
	pid_t tid;

	check_eq(read(victim.from, &tid, sizeof(tid)), sizeof(tid));
	nap();
	check_eq(compel_seize_begin(victim.pid), 0);
	check_eq(compel_seize_begin(tid), 0);
	check_eq(compel_seize_wait(victim.pid, &stop), 0);
	check_eq(compel_seize_wait(tid, &stop), 0);
	check_eq(compel_inject_begin(victim.pid, victim.pid, &inject), 0);
	for (int i = 0; i < 3; i++) {
		check_eq(compel_batch_in(inject, tid, calls, 2), 0);
		check_eq(calls[0].ret, tid);
		check_eq(calls[1].ret, victim.pid);
		check_eq(compel_batch_in(inject, victim.pid, calls, 2), 0);
		check_eq(calls[0].ret, victim.pid);
	}
	check_eq(compel_inject_end(&inject), 0);
	check_eq(compel_detach(tid), 0);
	check_eq(compel_detach(victim.pid), 0);
	victim_wake(&victim);
}

/* ---- restricted tasks --------------------------------------------------- */

static int victim_strict(int in, int out)
{
	char c = 'r';

	if (prctl(PR_SET_SECCOMP, 1 /* SECCOMP_MODE_STRICT */))
		return 1;
	if (write(out, &c, 1) != 1 || read(in, &c, 1) != 1)
		return 2;
	syscall(SYS_exit, 0);
	return 3;
}

/* Kills on anything but read, write, exit_group and what a restart takes. */
static int victim_filtered(int in, int out)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(code[0]), code };
	char c = 'r';

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return 1;
	if (write(out, &c, 1) == 1 && read(in, &c, 1) == 1)
		syscall(SYS_exit_group, 0); /* a sanitizer's _exit() does more */
	return 2;
}

/* Without the right to suspend filters nothing may be run in a filtered task. */
static void test_filter_without_rights(void)
{
	struct victim victim = victim_start_waiting(victim_filtered);
	struct compel_inject *inject;
	struct compel_stop stop;
	int status;
	pid_t tracer;

	tracer = fork();
	check(tracer >= 0);
	if (!tracer) {
		struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
		struct __user_cap_data_struct caps[2] = { { 0 } };

		check_eq(syscall(SYS_capget, &header, caps), 0);
		caps[0].effective &= ~(1u << CAP_SYS_ADMIN);
		check_eq(syscall(SYS_capset, &header, caps), 0);
		compel_set_log(NULL);
		check_eq(compel_seize(victim.pid, &stop), 0);
		check_eq(compel_inject_begin(victim.pid, victim.pid, &inject), -EPERM);
		check_eq(compel_detach(victim.pid), 0);
		_exit(0);
	}
	check_eq(waitpid(tracer, &status, 0), tracer);
	check_eq(status, 0);
	victim_wake(&victim);
}

static int victim_no_wx(int in, int out)
{
	char c = 'r';

	prctl(65 /* PR_SET_MDWE, Linux 6.3 */, 1, 0, 0, 0);
	return write(out, &c, 1) == 1 && read(in, &c, 1) == 1 ? 0 : 2;
}

static void test_restricted(int (*fn)(int in, int out))
{
	struct victim victim = victim_start_waiting(fn);
	struct compel_stop stop;

	check_eq(compel_seize(victim.pid, &stop), 0);
	check_eq(remote_getpid(victim.pid), victim.pid);
	check_eq(batch_getpid(victim.pid), victim.pid);
	check_eq(compel_detach(victim.pid), 0);
	victim_wake(&victim);
}

/* ---- descriptors and memory --------------------------------------------- */

static void test_socket_and_scratch(void)
{
	struct victim victim = victim_start_waiting(victim_reads);
	struct compel_inject *inject;
	uint64_t scratch, addr;
	char text[64] = "";
	int fd, remote_fd;
	int64_t ret;
	size_t size;

	inject = victim_inject(&victim);
	check_eq(compel_scratch(inject, &scratch, &size), 0);
	check(size >= 16384);
	check_eq(compel_write(inject, scratch, "hello", 5), 0);
	check_eq(compel_socket(inject, &fd, &remote_fd), 0);
	check_eq(compel_write(inject, scratch, "hello", 5), 0);
	check_eq(compel_syscall(inject, SYS_write, (uint64_t[6]){ remote_fd, scratch, 5 }, &ret),
		 0);
	check_eq(ret, 5);
	check_eq(read(fd, text, sizeof(text)), 5);
	check(strcmp(text, "hello") == 0);

	check_eq(compel_mmap(inject, 5000, PROT_READ, &addr), 0);
	check_eq(compel_write(inject, addr + 4990, "bye", 3), 0); /* by force */
	check_eq(compel_read(inject, addr + 4990, text, 3), 0);
	check(strncmp(text, "bye", 3) == 0);
	check_eq(compel_inject_end(&inject), 0);
	check_eq(read(fd, text, sizeof(text)), 0); /* the other end is closed */
	close(fd);
	check_eq(compel_detach(victim.pid), 0);
	victim_wake(&victim);
}

int main(void)
{
	compel_set_log(log_errors);
	test_spinning();
	test_interrupted_read(remote_getpid);
	test_interrupted_read(batch_getpid);
	test_no_trace(victim_reads);
	test_no_trace(victim_blocks_sigtrap);
	test_no_trace(victim_ignores_sigtrap);
	test_group_stop();
	test_stop_while_injected();
	test_killed();
	test_zombie();
	test_batch_in_thread();
	test_socket_and_scratch();
	test_restricted(victim_no_wx);
	if (geteuid() == 0) {
		test_restricted(victim_strict);
		test_restricted(victim_filtered);
		test_filter_without_rights();
	}
	return 0;
}
