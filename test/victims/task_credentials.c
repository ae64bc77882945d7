// SPDX-License-Identifier: GPL-2.0
/* Not root any more: four uids and gids, groups, some capabilities, securebits, no_new_privs. */
#include "victim.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

static void check_groups(void)
{
	gid_t groups[8];
	int count = getgroups(8, groups);

	require(count == 3, "%d groups", count);
	require(groups[0] == 1001 && groups[1] == 1002 && groups[2] == 70000, "groups");
}

int main(int argc, char **argv)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 }, now[2] = { 0 };
	gid_t groups[] = { 1001, 1002, 70000 };
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	victim_begin(argc, argv);
	require(!chmod(".", 0777), "chmod");
	require(!prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT), "drop from the bounding set");
	require(!prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP), "securebits");
	require(!setgroups(3, groups), "setgroups");
	require(!setresgid(2001, 2002, 2003), "setresgid");
	require(!setresuid(3001, 3002, 3003), "setresuid");
	caps[0].permitted = 1 << CAP_NET_ADMIN | 1 << CAP_CHOWN | 1 << CAP_DAC_OVERRIDE;
	caps[0].effective = 1 << CAP_CHOWN | 1 << CAP_DAC_OVERRIDE;
	caps[0].inheritable = 1 << CAP_NET_ADMIN;
	require(!syscall(SYS_capset, &header, caps), "capset");
	require(!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0), "ambient");
	require(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");

	victim_ready();

	require(!getresuid(&ruid, &euid, &suid) && ruid == 3001 && euid == 3002 && suid == 3003,
		"uids %d %d %d", ruid, euid, suid);
	require(!getresgid(&rgid, &egid, &sgid) && rgid == 2001 && egid == 2002 && sgid == 2003,
		"gids %d %d %d", rgid, egid, sgid);
	check_groups();
	require(!syscall(SYS_capget, &header, now), "capget");
	require(!memcmp(caps, now, sizeof(caps)), "capabilities %x %x %x", now[0].effective,
		now[0].permitted, now[0].inheritable);
	require(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_ADMIN, 0, 0) == 1, "ambient");
	require(prctl(PR_CAPBSET_READ, CAP_SYS_BOOT) == 0, "bounding set");
	require(prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1, "bounding set");
	require(prctl(PR_GET_SECUREBITS) == (SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP),
		"securebits");
	require(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "no_new_privs");
	victim_pass();
}
