// SPDX-License-Identifier: GPL-2.0
/* A zombie that has dumped core, and one that died of the same signal without. */
#include "victim.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static pid_t abort_with(rlim_t core, const char *folder)
{
	struct rlimit limit = { core, core };
	pid_t pid = fork();
	siginfo_t info;

	require(pid >= 0, "fork");
	if (!pid) {
		if (setrlimit(RLIMIT_CORE, &limit) || chdir(folder))
			_exit(1);
		abort();
	}
	require(!waitid(P_PID, pid, &info, WEXITED | WNOWAIT), "wait");
	return pid;
}

static bool has_core(pid_t pid)
{
	siginfo_t info;

	require(!waitid(P_PID, pid, &info, WEXITED | WNOWAIT), "waitid");
	return info.si_code == CLD_DUMPED;
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/victim-XXXXXX", command[64];
	pid_t with, without;
	struct rlimit limit;
	int status;

	victim_begin(argc, argv);
	require(!getrlimit(RLIMIT_CORE, &limit) && mkdtemp(folder), "a folder for the core");
	with = abort_with(limit.rlim_max, folder);
	without = abort_with(0, folder);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	require(!system(command), "%s", command);
	if (!has_core(with))
		victim_skip("no cores are dumped here");

	victim_ready();

	require(waitpid(with, &status, 0) == with, "zombie is gone");
	require(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status 0x%x", status);
	require(WCOREDUMP(status), "the flag is lost");
	require(waitpid(without, &status, 0) == without, "zombie is gone");
	require(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status 0x%x", status);
	require(!WCOREDUMP(status), "a flag where none was");
	victim_pass();
}
