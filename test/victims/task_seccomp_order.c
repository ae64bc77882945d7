// SPDX-License-Identifier: GPL-2.0
/* Of filters that say the same action the newest one's value counts: the order is visible. */
#include "victim.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

static void deny_getppid(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = code };

	require(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "filter");
}

int main(int argc, char **argv)
{
	int before;

	victim_begin(argc, argv);
	require(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	deny_getppid(EXDEV);
	deny_getppid(ELOOP);
	deny_getppid(EDOM);
	require(syscall(SYS_getppid) == -1, "getppid");
	before = errno;

	victim_ready();

	require(syscall(SYS_getppid) == -1 && errno == before, "errno was %d", before);
	victim_pass();
}
