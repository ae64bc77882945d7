// SPDX-License-Identifier: GPL-2.0
/* One thread in strict mode, one with a filter, one without: seccomp belongs to the thread. */
#include "victim.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>

static int to_strict[2], from_strict[2], to_filtered[2];
static volatile int ready_count;

static void *strict(void *arg)
{
	char byte;

	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	__atomic_add_fetch(&ready_count, 1, __ATOMIC_SEQ_CST);
	/* Only read, write, exit and sigreturn are allowed from here on. */
	if (syscall(SYS_read, to_strict[0], &byte, 1) == 1)
		syscall(SYS_write, from_strict[1], &byte, 1);
	syscall(SYS_exit, 0);
	return NULL;
}

static void *filtered(void *arg)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = code };
	char byte;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	require(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "filter");
	__atomic_add_fetch(&ready_count, 1, __ATOMIC_SEQ_CST);
	require(read(to_filtered[0], &byte, 1) == 1, "read");
	require(syscall(SYS_getppid) == -1 && errno == EXDEV, "getppid in the filtered thread");
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[2];
	char byte;

	victim_begin(argc, argv);
	require(!pipe(to_strict) && !pipe(from_strict) && !pipe(to_filtered), "pipes");
	require(!pthread_create(&threads[0], NULL, strict, NULL), "thread");
	require(!pthread_create(&threads[1], NULL, filtered, NULL), "thread");
	while (ready_count < 2)
		victim_sleep_ms(1);

	victim_ready();

	require(write(to_strict[1], "s", 1) == 1, "write");
	require(read(from_strict[0], &byte, 1) == 1 && byte == 's', "answer of the strict thread");
	require(write(to_filtered[1], "f", 1) == 1, "write");
	require(!pthread_join(threads[1], NULL), "join");
	require(syscall(SYS_getppid) > 0, "getppid in the free thread");
	victim_pass();
}
