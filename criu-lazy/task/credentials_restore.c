// SPDX-License-Identifier: GPL-2.0
/*
 * Credentials of a thread: raw calls change the calling thread's only. Ids go while all rights are
 * there and must not take rights along (SECBIT_NO_SETUID_FIXUP); the capability sets go last.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "task/task_restore.h"
#include "util/log.h"

enum { CAP_WORDS = 2, CAP_BITS = 64 };

static uint64_t wide(size_t count, const uint32_t *words)
{
	uint64_t set = 0;

	for (size_t i = 0; i < count && i < CAP_WORDS; i++)
		set |= (uint64_t)words[i] << (32 * i);
	return set;
}

static void add_capset(struct calls *calls, struct region *region, uint64_t eff, uint64_t prm,
		       uint64_t inh)
{
	const struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct data[CAP_WORDS] = {
		{ (uint32_t)eff, (uint32_t)prm, (uint32_t)inh },
		{ (uint32_t)(eff >> 32), (uint32_t)(prm >> 32), (uint32_t)(inh >> 32) },
	};

	calls_must(calls, RESTORER_WHAT_CREDS, SYS_capset,
		   region_copy(region, &header, sizeof(header)),
		   region_copy(region, data, sizeof(data)));
}

static int own_permitted(uint64_t *permitted)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[CAP_WORDS] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return log_errno("our own capabilities");
	*permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	return 0;
}

static void add_ids(struct calls *calls, struct region *region, const CredsEntry *creds)
{
	calls_must(calls, RESTORER_WHAT_CREDS, SYS_setgroups, creds->n_groups,
		   region_copy(region, creds->groups, creds->n_groups * sizeof(*creds->groups)));
	calls_must(calls, RESTORER_WHAT_CREDS, SYS_setresgid, creds->gid, creds->egid, creds->sgid);
	calls_must(calls, RESTORER_WHAT_CREDS, SYS_setfsgid, creds->fsgid);
	calls_must(calls, RESTORER_WHAT_CREDS, SYS_setresuid, creds->uid, creds->euid, creds->suid);
	calls_must(calls, RESTORER_WHAT_CREDS, SYS_setfsuid, creds->fsuid);
}

static void add_capabilities(struct calls *calls, struct region *region, const CredsEntry *creds,
			     uint64_t ours)
{
	const uint64_t setpcap = 1ull << CAP_SETPCAP;
	uint64_t prm = wide(creds->n_cap_prm, creds->cap_prm) & ours;
	uint64_t eff = wide(creds->n_cap_eff, creds->cap_eff) & ours;
	uint64_t inh = wide(creds->n_cap_inh, creds->cap_inh);
	uint64_t bnd = wide(creds->n_cap_bnd, creds->cap_bnd);
	uint64_t amb = wide(creds->n_cap_amb, creds->cap_amb);

	/* The inheritable set first: it cannot grow beyond the bounding set. */
	add_capset(calls, region, ours, ours, inh);
	for (unsigned int cap = 0; cap < CAP_BITS; cap++) {
		if (!(bnd >> cap & 1) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
			calls_must(calls, RESTORER_WHAT_CREDS, SYS_prctl, PR_CAPBSET_DROP, cap);
		if (amb >> cap & 1)
			calls_must(calls, RESTORER_WHAT_CREDS, SYS_prctl, PR_CAP_AMBIENT,
				   PR_CAP_AMBIENT_RAISE, cap, 0, 0);
	}
	if (ours & setpcap)
		calls_must(calls, RESTORER_WHAT_CREDS, SYS_prctl, PR_SET_SECUREBITS,
			   creds->secbits);
	add_capset(calls, region, eff, prm, inh);
}

int compose_credentials(struct compose *compose, struct calls *calls, const CoreEntry *core)
{
	const CoreEntry *leader = compose->task->restore->cores[0];
	const CredsEntry *creds = core->thread_core->creds;
	uint64_t ours = 0;
	int ret;

	if (!creds)
		creds = leader->thread_core->creds;
	if (!creds)
		return log_ret(-EBADMSG, "task %d: no credentials in its core image",
			       compose->task->pid);
	ret = own_permitted(&ours);
	if (!ret)
		ret = compose_seccomp(compose, calls, core);
	if (ret)
		return ret;
	if (wide(creds->n_cap_prm, creds->cap_prm) & ~ours)
		log_warn("task %d: capabilities %#lx are beyond the restorer's and are lost",
			 compose->task->pid, wide(creds->n_cap_prm, creds->cap_prm) & ~ours);
	calls_try(calls, RESTORER_WHAT_CREDS, SYS_prctl, PR_SET_SECUREBITS,
		  1 << SECURE_NO_SETUID_FIXUP | 1 << SECURE_KEEP_CAPS);
	add_ids(calls, &compose->region, creds);
	add_capabilities(calls, &compose->region, creds, ours);
	if (creds->has_no_new_privs && creds->no_new_privs)
		calls_must(calls, RESTORER_WHAT_CREDS, SYS_prctl, PR_SET_NO_NEW_PRIVS, 1);
	if (core->thread_core->has_pdeath_sig && core->thread_core->pdeath_sig)
		calls_must(calls, RESTORER_WHAT_PRCTL, SYS_prctl, PR_SET_PDEATHSIG,
			   core->thread_core->pdeath_sig);
	return 0;
}
