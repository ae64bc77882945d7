// SPDX-License-Identifier: GPL-2.0
/*
 * Seccomp: filters are kept once in seccomp.img. A thread names its oldest, and `prev` of each
 * names the one installed after it (the word is the format's): the order to install them in. That
 * is done while the restorer traces the thread with filters suspended (PTRACE_O_SUSPEND_SECCOMP),
 * and before credentials go, so that no_new_privs is not needed.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "seccomp.pb-c.h"
#include "task/task_restore.h"
#include "util/log.h"

enum { CHAIN_MAX = 4096, FILTER_MAX = 4096 * 8 };

struct seccomp_filters {
	SeccompEntry *entry;
};

static bool thread_mode(const CoreEntry *core, SeccompMode *mode)
{
	*mode = core->thread_core->has_seccomp_mode ? core->thread_core->seccomp_mode
						    : SECCOMP_MODE__disabled;
	return *mode != SECCOMP_MODE__disabled;
}

bool task_restore_has_seccomp(const CoreEntry *core)
{
	SeccompMode mode;

	return core->thread_core && thread_mode(core, &mode);
}

/* A link of the chain of a thread, its oldest filter first; NULL ends it. */
static const SeccompFilter *filter_at(const SeccompEntry *entry, uint32_t index)
{
	return entry && index < entry->n_seccomp_filters ? entry->seccomp_filters[index] : NULL;
}

static int check_chain(const struct restore *restore, const struct task *task, uint32_t index,
		       uint64_t *bytes)
{
	const SeccompEntry *entry = restore->seccomp ? restore->seccomp->entry : NULL;

	for (unsigned int depth = 0; depth < CHAIN_MAX; depth++) {
		const SeccompFilter *filter = filter_at(entry, index);

		if (!filter || !filter->filter.len || filter->filter.len > FILTER_MAX ||
		    filter->filter.len % sizeof(struct sock_filter))
			break;
		*bytes += filter->filter.len + 128;
		if (!filter->has_prev)
			return 0;
		index = filter->prev;
	}
	return log_ret(-EBADMSG, "task %d: seccomp.img: bad filter %u", task->pid, index);
}

static int plan_thread(struct restore *restore, const struct task *task, const CoreEntry *core)
{
	SeccompMode mode;
	uint64_t bytes = 0;

	if (!thread_mode(core, &mode) || mode == SECCOMP_MODE__strict)
		return 0;
	return check_chain(restore, task, core->thread_core->seccomp_filter, &bytes);
}

int task_restore_plan(struct restore *restore)
{
	ProtobufCMessage *msg = NULL;
	const struct task *task;
	int first = 0, ret;

	restore->seccomp = calloc(1, sizeof(*restore->seccomp));
	if (!restore->seccomp)
		return -ENOMEM;
	ret = image_read_one(restore->images, IMG_SECCOMP, 0, &seccomp_entry__descriptor, &msg);
	if (ret && ret != -ENOENT)
		return ret;
	restore->seccomp->entry = (SeccompEntry *)msg;
	tree_for_each (task, &restore->tree) {
		for (size_t i = 0; i < task->nr_threads && task->state != TASK_DEAD; i++) {
			ret = plan_thread(restore, task, task->restore->cores[i]);
			if (ret && !first)
				first = ret;
		}
	}
	ret = locks_plan(restore);
	return first ? first : ret;
}

void task_restore_free(struct restore *restore)
{
	locks_free(restore);
	if (restore->seccomp && restore->seccomp->entry)
		image_msg_free(&restore->seccomp->entry->base);
	free(restore->seccomp);
	restore->seccomp = NULL;
}

uint64_t task_restore_bytes(const struct restore *restore, const struct task *task)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < task->nr_threads; i++) {
		const CoreEntry *core = task->restore->cores[i];
		SeccompMode mode;

		if (core->thread_core->creds)
			bytes += core->thread_core->creds->n_groups * sizeof(uint32_t);
		if (core->thread_core->signals_p)
			bytes += core->thread_core->signals_p->n_signals * 256;
		if (thread_mode(core, &mode) && mode == SECCOMP_MODE__filter)
			check_chain(restore, task, core->thread_core->seccomp_filter, &bytes);
		if (core->tc && core->tc->signals_s)
			bytes += core->tc->signals_s->n_signals * 256;
		if (core->tc && core->tc->timers)
			bytes += core->tc->timers->n_posix * 512;
	}
	return bytes + locks_restore_bytes(restore, task);
}

static void add_filter(struct compose *compose, struct calls *calls, const SeccompFilter *filter,
		       uint64_t flags)
{
	struct sock_fprog program = { .len = filter->filter.len / sizeof(struct sock_filter) };
	uint64_t code = region_copy(&compose->region, filter->filter.data, filter->filter.len);

	program.filter = (struct sock_filter *)(uintptr_t)code;
	calls_expect(calls, RESTORER_WHAT_SECCOMP, 0, SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     flags | (filter->has_flags ? filter->flags : 0),
		     region_copy(&compose->region, &program, sizeof(program)));
}

/*
 * Threads with the same filters are given the very same ones, by the leader for all: only then can
 * the task later add one for all its threads (SECCOMP_FILTER_FLAG_TSYNC, seccomp(2)).
 */
static bool shares_filters(const struct task *task)
{
	const struct restore_task *rt = task->restore;

	for (size_t i = 0; i < task->nr_threads; i++) {
		const ThreadCoreEntry *thread = rt->cores[i]->thread_core;
		SeccompMode mode;

		if (!thread_mode(rt->cores[i], &mode) || mode != SECCOMP_MODE__filter ||
		    thread->seccomp_filter != rt->cores[0]->thread_core->seccomp_filter)
			return false;
	}
	return task->nr_threads > 1;
}

int compose_seccomp(struct compose *compose, struct calls *calls, const CoreEntry *core)
{
	const SeccompEntry *entry = compose->restore->seccomp->entry;
	const SeccompFilter *filter = NULL;
	bool is_shared, is_leader = core == compose->task->restore->cores[0];
	SeccompMode mode;

	if (!thread_mode(core, &mode))
		return 0;
	calls_must(calls, RESTORER_WHAT_SECCOMP, RESTORER_OP_GATE, 0);
	if (mode == SECCOMP_MODE__strict) {
		calls_must(calls, RESTORER_WHAT_SECCOMP, SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0,
			   0);
		return 0;
	}
	is_shared = shares_filters(compose->task);
	if (!is_shared || is_leader)
		filter = filter_at(entry, core->thread_core->seccomp_filter);
	for (size_t depth = 0; filter && depth < CHAIN_MAX; depth++) {
		add_filter(compose, calls, filter, is_shared ? SECCOMP_FILTER_FLAG_TSYNC : 0);
		filter = filter->has_prev ? filter_at(entry, filter->prev) : NULL;
	}
	if (is_shared)
		calls_must(calls, RESTORER_WHAT_SECCOMP, RESTORER_OP_FOLLOW, 0);
	return 0;
}
