// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <string.h>

#include "kinds/external.h"
#include "kinds/files/regular.h"
#include "unit.h"

static void test_deleted_mark(void)
{
	const char *link = "/tmp/a (deleted)";

	check(path_deleted_mark(link) == link + 6);
	check(!path_deleted_mark("/tmp/a"));
	check(!path_deleted_mark(" (deleted)"));
	check(!path_deleted_mark("/a (deleted) "));
	check(!path_deleted_mark(""));
}

static void test_proc_pid(void)
{
	check_eq(regular_proc_pid("/proc/12/status"), 12);
	check_eq(regular_proc_pid("/proc/12"), 12);
	check_eq(regular_proc_pid("/proc/12x"), 0);
	check_eq(regular_proc_pid("/proc/self"), 0);
	check_eq(regular_proc_pid("/proc/0/stat"), 0);
	check_eq(regular_proc_pid("/proc/99999999999999999999/stat"), 0);
	check_eq(regular_proc_pid("/proc/4294967297/stat"), 0);
	check_eq(regular_proc_pid("/process/12"), 0);
}

static void test_open_flags(void)
{
	const int always = O_CLOEXEC | O_NOCTTY;

	check_eq(regular_open_flags(O_RDWR | O_APPEND, S_IFREG), O_RDWR | O_APPEND | always);
	check_eq(regular_open_flags(O_RDWR | O_CREAT | O_EXCL | O_TRUNC, S_IFREG), O_RDWR | always);
	check_eq(regular_open_flags(O_RDWR | O_TMPFILE, S_IFREG), O_RDWR | always);
	check_eq(regular_open_flags(O_DIRECTORY, S_IFDIR), O_DIRECTORY | always);
	check_eq(regular_open_flags(O_PATH, S_IFLNK), O_PATH | O_NOFOLLOW | always);
}

static void test_inherit_fd(void)
{
	int fd = -1;

	check(inherit_fd_match("fd[7]:pipe:[123]", "pipe:[123]", &fd) && fd == 7);
	check(inherit_fd_match("fd[0]:tmp/x", "/tmp/x", &fd) && fd == 0);
	check(inherit_fd_match("fd[1]:/tmp/x", "/tmp/x", &fd));
	check(!inherit_fd_match("fd[1]:/tmp/xy", "/tmp/x", &fd));
	check(!inherit_fd_match("fd[]:a", "a", &fd));
	check(!inherit_fd_match("fd[-1]:a", "a", &fd));
	check(!inherit_fd_match("fd[99999999999]:a", "a", &fd));
	check(!inherit_fd_match("fd[1]a", "a", &fd));
	check(!inherit_fd_match("", "", &fd));
}

static void test_external(void)
{
	char *items[] = { "file[1f:2a]", "pipe:[3]:name" };
	struct options opts = { .external = { items, 2 } };

	check(external_is_named(&opts, "file[1f:2a]"));
	check(external_is_named(&opts, "pipe:[3]"));
	check(!external_is_named(&opts, "file[1f:2"));
	check(!external_is_named(&opts, "file[1f:2a]x"));
}

int main(void)
{
	test_deleted_mark();
	test_proc_pid();
	test_open_flags();
	test_inherit_fd();
	test_external();
	return 0;
}
