// SPDX-License-Identifier: GPL-2.0
/* What is read from /proc and from netlink: byte 0 is the parser. */
#include <stdlib.h>

#include "dump/lock_lines.h"
#include "fuzz.h"
#include "kernel/proc_maps.h"
#include "kernel/proc_task.h"
#include "kinds/events/fdinfo.h"
#include "kinds/fdinfo_text.h"
#include "kinds/sockets/unix_diag.h"

const struct fuzz_seed fuzz_seeds[] = {
	FUZZ_TEXT("\x00"
		  "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 1 2 17"),
	FUZZ_TEXT(
		"\x01"
		"Name:\tx\nUmask:\t0022\nState:\tS (sleeping)\nTracerPid:\t0\n"
		"Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t0 4 5 \nNStgid:\t7\t1\n"
		"NSpid:\t7\t1\nNSpgid:\t7\t1\nNSsid:\t7\t1\nSigPnd:\t0\nCapInh:\t0\nSeccomp:\t2\n"),
	FUZZ_TEXT("\x02"
		  "Limit   Soft Limit   Hard Limit   Units\nMax cpu time unlimited unlimited s\n"
		  "Max file size 1 2 bytes\n"),
	FUZZ_TEXT("\x03"
		  "ID: 0\nsignal: 34/0000000000000000\nnotify: thread/tid.12\nClockID: 1\n"),
	FUZZ_TEXT(
		"\x04"
		"55d0-55d8 r-xp 00001000 08:01 123 /bin/true\nSize: 4 kB\n"
		"KernelPageSize: 4 kB\nVmFlags: rd ex mr mw me lo\n7f00-7f10 rw-s 0 00:05 9 /x y\n"
		"VmFlags: rd wr sh mr mw me ms\n"),
	FUZZ_TEXT("\x05"
		  "pos:\t0\nflags:\t02100002\nmnt_id:\t15\neventfd-count: 1f\n"
		  "eventfd-id: 2\neventfd-semaphore: 1\n"),
	FUZZ_TEXT("\x06"
		  "clockid: 1\nticks: 0\nsettime flags: 01\nit_value: (1, 2)\n"
		  "it_interval: (3, 4)\n"),
	FUZZ_TEXT("\x07"
		  "sigmask:\t00000000000001ff\n"),
	FUZZ_TEXT("\x08"
		  "tfd:        4 events:       19 data: ffff  pos:0 ino:1 sdev:8\n"),
	FUZZ_TEXT("\x09"
		  "inotify wd:1 ino:2 sdev:800001 mask:3ce ignored_mask:0 "
		  "fhandle-bytes:8 fhandle-type:1 f_handle:0102030405060708\n"),
	FUZZ_TEXT("\x0a"
		  "Pid:\t12\nNSpid:\t12\t3\n"),
	FUZZ_TEXT("\x0b"
		  "1: POSIX  ADVISORY  WRITE 12 08:01:77 0 EOF"),
	FUZZ_TEXT("\x0c"
		  "\x01\x01\x01\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		  "\x0a\x00\x00\x00/tmp/x\x00\x00\x0c\x00\x01\x00\x01\x02\x03\x04\x05\x06\x07\x08"),
	{ NULL, 0 },
};

void fuzz_begin(void)
{
}

static void parse_task(uint8_t which, const char *text)
{
	struct proc_rlimit limits[PROC_RLIMITS];
	struct proc_status status;
	struct proc_timer *timers;
	struct proc_stat stat;
	size_t count;

	if (which == 0)
		proc_stat_parse(text, &stat);
	else if (which == 1 && !proc_status_parse(text, &status))
		proc_status_free(&status);
	else if (which == 2)
		proc_limits_parse(text, limits);
	else if (which == 3 && !proc_timers_parse(text, &timers, &count))
		free(timers);
}

static void parse_fdinfo(uint8_t which, const char *text)
{
	struct inotify_watch *watches = NULL;
	struct epoll_target *targets = NULL;
	struct eventfd_fdinfo eventfd;
	struct timerfd_fdinfo timerfd;
	struct fdinfo_common common;
	int32_t pid, innermost;
	uint64_t mask;
	size_t count;

	fdinfo_parse_common(text, &common);
	if (which == 5)
		fdinfo_parse_eventfd(text, &eventfd);
	else if (which == 6)
		fdinfo_parse_timerfd(text, &timerfd);
	else if (which == 7)
		fdinfo_parse_signalfd(text, &mask);
	else if (which == 8 && !fdinfo_parse_epoll(text, &targets, &count))
		free(targets);
	else if (which == 9 && !fdinfo_parse_inotify(text, &watches, &count))
		free(watches);
	else if (which == 10)
		fdinfo_parse_pidfd(text, &pid, &innermost);
}

void fuzz_one(const uint8_t *data, size_t len)
{
	struct proc_vmas vmas;
	struct lock_line lock;
	struct unix_info info;
	char *text;

	if (!len)
		return;
	text = fuzz_string(data + 1, len - 1);
	if (data[0] < 4)
		parse_task(data[0], text);
	else if (data[0] >= 5 && data[0] <= 10)
		parse_fdinfo(data[0], text);
	else if (data[0] == 11)
		lock_line_parse(text, &lock);
	else if (data[0] == 12 && !unix_diag_parse(text, len - 1, &info))
		unix_info_free(&info);
	if (data[0] != 4)
		free(text);
	else if (!proc_vmas_parse(text, &vmas)) /* takes it over */
		proc_vmas_free(&vmas);
}
