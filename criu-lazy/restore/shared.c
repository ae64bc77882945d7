// SPDX-License-Identifier: GPL-2.0
/* Stages and errors in memory shared by the restorer, all tasks and their blobs. */
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "restore/blob_error.h"
#include "restore/restore_task.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

enum { WATCH_STEP_NS = 100 * 1000 * 1000 };

int shared_create(struct restore *restore)
{
	size_t size = sizeof(*restore->shared);
	struct task *task;
	uint32_t nr_tasks = 0;
	void *map;

	tree_for_each (task, &restore->tree)
		nr_tasks++;
	size = (size + nr_tasks * sizeof(restore->shared->tasks[0]) + 4095) & ~(size_t)4095;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return log_errno("restore: shared memory");
	restore->shared = map;
	restore->shared->nr_tasks = nr_tasks;
	restore->shared->size = size;
	return 0;
}

static void futex_wait(uint32_t *word, uint32_t value, long timeout_ns)
{
	struct timespec timeout = { .tv_nsec = timeout_ns };

	syscall(SYS_futex, word, FUTEX_WAIT, value, &timeout, NULL, 0);
}

static void tell(struct restore_shared *shared)
{
	__atomic_fetch_add(&shared->blob.event, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &shared->blob.event, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void shared_fail(struct restore_shared *shared)
{
	__atomic_store_n(&shared->blob.failed, 1, __ATOMIC_SEQ_CST);
	tell(shared);
}

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

int shared_arrive(struct restore_shared *shared, enum restore_stage stage)
{
	uint32_t arrived = __atomic_add_fetch(&shared->arrived[stage], 1, __ATOMIC_SEQ_CST);

	if (arrived == shared->nr_tasks)
		tell(shared);
	for (;;) {
		uint32_t event = load(&shared->blob.event);

		if (load(&shared->blob.failed))
			return -ECANCELED;
		if (load(&shared->arrived[stage]) >= shared->nr_tasks)
			return 0;
		futex_wait(&shared->blob.event, event, WATCH_STEP_NS);
	}
}

/* Has a task that should be there died? Its own last words are in the log, if there are any. */
static int check_alive(struct restore *restore)
{
	scoped_text struct text text = { 0 };
	bool is_grouped =
		load(&restore->shared->arrived[STAGE_GROUPED]) >= restore->shared->nr_tasks;
	struct task *task;

	tree_for_each (task, &restore->tree) {
		char path[32];
		const char *state;

		/* Zombies end by themselves, but not before all have their groups. */
		if ((task->state == TASK_DEAD && is_grouped) ||
		    !load((const uint32_t *)&restore->shared->tasks[task->restore->index].host_pid))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/stat", task->host_pid);
		state = text_read_at(AT_FDCWD, path, &text) ? NULL : strrchr(text.data, ')');
		if (state && state[1] == ' ' && state[2] != 'Z' && state[2] != 'X')
			continue;
		if (!load(&restore->shared->blob.failed))
			log_err("task %d: died while it was being restored", task->pid);
		return -ECHILD;
	}
	return 0;
}

int shared_watch(struct restore *restore, const uint32_t *word, uint32_t count)
{
	struct restore_shared *shared = restore->shared;
	struct timespec last, now;

	clock_gettime(CLOCK_MONOTONIC, &last);
	for (;;) {
		uint32_t event = load(&shared->blob.event);
		int ret;

		if (load(&shared->blob.failed))
			return blob_error_log(restore, &shared->blob.error);
		if (load(word) >= count)
			return 0;
		fill_help(restore);
		futex_wait(&shared->blob.event, event, WATCH_STEP_NS);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((now.tv_sec - last.tv_sec) * 1000000000L + now.tv_nsec - last.tv_nsec <
		    WATCH_STEP_NS)
			continue;
		last = now;
		ret = check_alive(restore);
		if (ret)
			return ret;
	}
}
