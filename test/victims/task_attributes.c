// SPDX-License-Identifier: GPL-2.0
/* What a process has: limits, umask, cwd, personality, and the prctl and procfs attributes. */
#include "victim.h"

#include <sched.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_BEST_EFFORT = 2 << 13 };

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	require(fd >= 0 && write(fd, text, strlen(text)) > 0, "%s", path);
	close(fd);
}

static void check_text(const char *path, const char *text)
{
	char now[64] = "";
	int fd = open(path, O_RDONLY);

	require(fd >= 0 && read(fd, now, sizeof(now) - 1) > 0, "%s", path);
	close(fd);
	require(!strncmp(now, text, strlen(text)), "%s is %s", path, now);
}

static const struct {
	int resource;
	struct rlimit limit;
} limits[] = {
	{ RLIMIT_NOFILE, { 200, 300 } },
	{ RLIMIT_CORE, { 0, 4096 } },
	{ RLIMIT_FSIZE, { 1 << 30, 1 << 30 } },
	{ RLIMIT_SIGPENDING, { 50, 60 } },
	{ RLIMIT_NICE, { 0, 0 } },
};

int main(int argc, char **argv)
{
	char cwd[512], now[512];
	struct rlimit limit;
	int value;

	victim_begin(argc, argv);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		require(!setrlimit(limits[i].resource, &limits[i].limit), "limit %zu", i);
	umask(0137);
	require(!mkdir("deep", 0755) || errno == EEXIST, "mkdir");
	require(!chdir("deep") && getcwd(cwd, sizeof(cwd)), "chdir");
	personality(ADDR_NO_RANDOMIZE | 0x0400000);
	prctl(PR_SET_PDEATHSIG, 0);
	require(!prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "subreaper");
	require(!prctl(PR_SET_TIMERSLACK, 123456), "timer slack");
	require(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "thp");
	prctl(PR_SET_NAME, "odd ) name");
	write_text("/proc/self/oom_score_adj", "345");
	write_text("/proc/self/coredump_filter", "0x55");
	require(!setpriority(PRIO_PROCESS, 0, 7), "nice");
	require(!syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_BEST_EFFORT | 6), "ioprio");
	require(!prctl(PR_SET_DUMPABLE, 1), "dumpable");

	victim_ready();

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		require(!getrlimit(limits[i].resource, &limit), "limit");
		require(limit.rlim_cur == limits[i].limit.rlim_cur &&
				limit.rlim_max == limits[i].limit.rlim_max,
			"limit %zu: %ld %ld", i, limit.rlim_cur, limit.rlim_max);
	}
	require(umask(0) == 0137, "umask");
	require(getcwd(now, sizeof(now)) && !strcmp(cwd, now), "cwd %s", now);
	require(personality(-1) == (ADDR_NO_RANDOMIZE | 0x0400000), "personality %x",
		personality(-1));
	require(!prctl(PR_GET_CHILD_SUBREAPER, &value, 0, 0, 0) && value == 1, "subreaper");
	require(prctl(PR_GET_TIMERSLACK) == 123456, "timer slack");
	require(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1, "thp");
	require(!prctl(PR_GET_NAME, now) && !strcmp(now, "odd ) name"), "name %s", now);
	check_text("/proc/self/oom_score_adj", "345");
	check_text("/proc/self/coredump_filter", "00000055");
	require(getpriority(PRIO_PROCESS, 0) == 7, "nice");
	require(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) == (IOPRIO_BEST_EFFORT | 6),
		"ioprio");
	require(prctl(PR_GET_DUMPABLE) == 1, "dumpable");
	victim_pass();
}
