// SPDX-License-Identifier: GPL-2.0
/* A stack of seccomp filters on the process; the last one is active as before, not more, not less.
 */
#include "victim.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

/* Makes one system call fail with an errno. */
static void deny(int nr, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = code };

	require(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "filter");
}

int main(int argc, char **argv)
{
	victim_begin(argc, argv);
	require(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	deny(SYS_getppid, EXDEV);
	deny(SYS_sync, ELOOP);
	deny(SYS_munmap, EDOM);
	deny(SYS_ptrace, ENOSPC);

	victim_ready();

	require(syscall(SYS_getppid) == -1 && errno == EXDEV, "getppid");
	require(syscall(SYS_sync) == -1 && errno == ELOOP, "sync");
	require(syscall(SYS_munmap, 0, 0) == -1 && errno == EDOM, "munmap");
	require(syscall(SYS_getpid) > 0, "getpid");
	require(prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER, "mode");
	victim_pass();
}
