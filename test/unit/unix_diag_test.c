// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>

#include "kinds/sockets/unix_diag.h"
#include "unit.h"

static uint8_t buf[512] __attribute__((aligned(4)));
static size_t used;

static void begin(void)
{
	struct unix_diag_msg msg = { .udiag_ino = 77, .udiag_type = 5, .udiag_state = 10 };

	memset(buf, 0, sizeof(buf));
	memcpy(buf, &msg, sizeof(msg));
	used = sizeof(msg);
}

static void add(int type, const void *data, size_t len)
{
	struct rtattr attr = { .rta_len = RTA_LENGTH(len), .rta_type = type };

	memcpy(buf + used, &attr, sizeof(attr));
	memcpy(buf + used + RTA_LENGTH(0), data, len);
	used += RTA_ALIGN(attr.rta_len);
}

static void test_all(void)
{
	struct unix_diag_vfs vfs = { .udiag_vfs_ino = 9, .udiag_vfs_dev = 0xfe00001 };
	struct unix_diag_rqlen queue = { .udiag_rqueue = 2, .udiag_wqueue = 16 };
	uint32_t peer = 78, waiting[] = { 5, 0, 6 };
	uint8_t shutdown = 3;
	struct unix_info info;

	begin();
	add(UNIX_DIAG_NAME, "\0abstract", 9);
	add(UNIX_DIAG_VFS, &vfs, sizeof(vfs));
	add(UNIX_DIAG_PEER, &peer, sizeof(peer));
	add(UNIX_DIAG_ICONS, waiting, sizeof(waiting));
	add(UNIX_DIAG_RQLEN, &queue, sizeof(queue));
	add(UNIX_DIAG_SHUTDOWN, &shutdown, sizeof(shutdown));
	add(999, "unknown", 7);
	check_eq(unix_diag_parse(buf, used, &info), 0);
	check(info.ino == 77 && info.type == 5 && info.state == 10 && info.peer == 78);
	check(info.name_len == 9 && !memcmp(info.name, "\0abstract", 9));
	check(info.vfs_ino == 9 && info.vfs_dev == 0xfe00001 && info.shutdown == 3);
	check(info.queue[0] == 2 && info.queue[1] == 16);
	check(info.nr_waiting == 3 && info.waiting[0] == 5 && info.waiting[2] == 6);
	unix_info_free(&info);
}

static void test_bad(void)
{
	struct unix_info info;
	char long_name[UNIX_NAME_MAX + 1] = "x";
	uint32_t waiting = 1;

	begin();
	check_eq(unix_diag_parse(buf, used - 1, &info), -EBADMSG);
	check_eq(unix_diag_parse(buf, used, &info), 0);
	add(UNIX_DIAG_NAME, long_name, sizeof(long_name));
	check_eq(unix_diag_parse(buf, used, &info), -EBADMSG);
	begin();
	add(UNIX_DIAG_PEER, "x", 1);
	check_eq(unix_diag_parse(buf, used, &info), -EBADMSG);
	begin();
	add(UNIX_DIAG_ICONS, &waiting, sizeof(waiting));
	add(UNIX_DIAG_VFS, "xyz", 3);
	check_eq(unix_diag_parse(buf, used, &info), -EBADMSG);
	begin();
	add(UNIX_DIAG_PEER, &waiting, sizeof(waiting));
	check_eq(unix_diag_parse(buf, used - 1, &info), -EBADMSG);
}

int main(void)
{
	test_all();
	test_bad();
	return 0;
}
