// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "kinds/fdinfo_text.h"
#include "unit.h"

static void test_common(void)
{
	struct fdinfo_common common;

	check_eq(fdinfo_parse_common("pos:\t5\nflags:\t02102002\nmnt_id:\t27\nino:\t9\n", &common),
		 0);
	check_eq(common.pos, 5);
	check_eq(common.flags, 0102002);
	check_eq(common.mnt_id, 27);
	check(common.cloexec);
	check_eq(fdinfo_parse_common("pos:\t18446744073709551615\nflags:\t00\n", &common), 0);
	check(common.pos == UINT64_MAX && !common.flags && !common.cloexec && common.mnt_id == -1);
}

static void test_refused(void)
{
	static const char *const bad[] = {
		"",
		"\n",
		"pos:\n",
		"pos:\t1\n",
		"flags:\t02\n",
		"pos:\t-1\nflags:\t0\n",
		"pos:\t1x\nflags:\t0\n",
		"pos:\t1\nflags:\t9\n",
		"pos:\t99999999999999999999\nflags:\t0\n",
		"pos:\t1\nflags:\t777777777777\n",
		"xpos:\t1\nflags:\t0\n",
	};
	struct fdinfo_common common;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_eq(fdinfo_parse_common(bad[i], &common), -EBADMSG);
}

static void test_fields(void)
{
	const char *text = "pos:\t0\nlock:\t1: FLOCK\nlocks:\tno\nlock:\t2: POSIX\nhex: ff\n";
	const char *field = fdinfo_field(text, "lock");
	uint64_t number;

	check(field && !strncmp(field, "1: FLOCK\n", 9));
	field = fdinfo_field(field, "lock");
	check(field && !strncmp(field, "2: POSIX\n", 9));
	check(!fdinfo_field(field, "lock"));
	check(fdinfo_number(text, "hex", 16, &number) && number == 255);
	check(!fdinfo_number(text, "hex", 10, &number));
	check(!fdinfo_number(text, "absent", 10, &number));
}

int main(void)
{
	test_common();
	test_refused();
	test_fields();
	return 0;
}
