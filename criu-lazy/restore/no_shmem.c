// SPDX-License-Identifier: GPL-2.0
/* Refuses shared segments as long as mem/ does not restore them: its own functions win. */
#include <errno.h>

#include "mem/mem.h"
#include "mem/pagemap_flags.h"
#include "restore/restore_task.h"
#include "util/log.h"

#define weak __attribute__((weak))

weak int shmem_plan(struct restore *restore)
{
	const struct task *task;

	tree_for_each (task, &restore->tree) {
		const MmEntry *mm = task->restore->mm;

		for (size_t i = 0; mm && i < mm->n_vmas; i++) {
			if (mm->vmas[i]->status & (VMA_ANON_SHARED | VMA_AREA_SYSVIPC))
				return log_ret(-EOPNOTSUPP, "task %d: area %#lx: a shared segment",
					       task->pid, mm->vmas[i]->start);
		}
	}
	return 0;
}

weak int shmem_open_all(struct restore *restore)
{
	return 0;
}

weak int shmem_fd(const struct restore *restore, uint64_t shmid)
{
	return -1;
}

weak bool shmem_is_lazy(const struct restore *restore, uint64_t shmid)
{
	return false;
}

weak void shmem_free(struct restore *restore)
{
}
