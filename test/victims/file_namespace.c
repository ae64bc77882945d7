// SPDX-License-Identifier: GPL-2.0
/* Descriptors of the namespaces the task is in. */
#include "victim.h"

static const char *const names[] = { "net", "mnt", "uts", "ipc", "user", "pid", "cgroup" };
enum { COUNT = sizeof(names) / sizeof(names[0]) };

static void check(const int *fds)
{
	for (int i = 0; i < COUNT; i++) {
		struct stat st, own;
		char path[32];

		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		require(!stat(path, &own), "%s", path);
		require(!fstat(fds[i], &st), "%s", names[i]);
		require(st.st_ino == own.st_ino && st.st_dev == own.st_dev, "%s", names[i]);
	}
}

int main(int argc, char **argv)
{
	int fds[COUNT];

	victim_begin(argc, argv);
	for (int i = 0; i < COUNT; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		fds[i] = open(path, O_RDONLY | (i & 1 ? O_CLOEXEC : 0));
		require(fds[i] >= 0, "open %s", path);
	}
	check(fds);
	victim_ready();
	check(fds);
	victim_pass();
}
