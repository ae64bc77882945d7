// SPDX-License-Identifier: GPL-2.0
/* Lines of /proc/locks and fdinfo. */
#include "dump/lock_lines.h"

#include <errno.h>
#include <fcntl.h>

#include "unit.h"

int main(void)
{
	struct lock_line lock;

	check_eq(lock_line_parse("1: POSIX  ADVISORY  WRITE 373 fe:00:10961489 1 3\n", &lock), 0);
	check_eq(lock.kind, LOCK_KIND_POSIX);
	check_eq(lock.type, F_WRLCK);
	check_eq(lock.pid, 373);
	check_eq(lock.inode, 10961489);
	check_eq(lock.start, 1);
	check_eq(lock.len, 3);
	check(!lock.is_waiting);
	check_eq(lock_line_parse("22: FLOCK  ADVISORY  READ 7 fe:00:5 0 EOF\nmore", &lock), 0);
	check_eq(lock.kind, LOCK_KIND_FLOCK);
	check_eq(lock.type, F_RDLCK);
	check_eq(lock.len, 0);
	check_eq(lock_line_parse("3: OFDLCK ADVISORY  WRITE -1 fe:00:5 10 EOF", &lock), 0);
	check_eq(lock.kind, LOCK_KIND_OFD);
	check_eq(lock.pid, -1);
	check_eq(lock_line_parse("1: -> POSIX  ADVISORY  WRITE 9 fe:00:5 0 EOF", &lock), 0);
	check(lock.is_waiting);
	check_eq(lock_line_parse("4: LEASE  ACTIVE    READ 9 fe:00:5 0 EOF", &lock), 0);
	check_eq(lock.kind, LOCK_KIND_LEASE);
	check(!lock.is_breaking);
	check_eq(lock_line_parse("4: LEASE  BREAKING  READ 9 fe:00:5 0 EOF", &lock), 0);
	check(lock.is_breaking);
	check_eq(lock_line_parse("4: WHAT ADVISORY READ 9 fe:00:5 0 EOF", &lock), -EBADMSG);
	check_eq(lock_line_parse("1: POSIX ADVISORY", &lock), -EBADMSG);
	check_eq(lock_line_parse("", &lock), -EBADMSG);
	return 0;
}
