// SPDX-License-Identifier: GPL-2.0
#include "lazy/journal.h"

#include <stddef.h>
#include <sys/mman.h>

struct journal *journal_new(void)
{
	struct journal *journal = mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return journal == MAP_FAILED ? NULL : journal;
}

int journal_add(struct journal *journal, int uffd, int pid, int pidfd)
{
	for (int i = 0; i < JOURNAL_SLOTS; i++) {
		struct journal_slot *slot = &journal->slots[i];

		if (atomic_load(&slot->state) != JOURNAL_FREE)
			continue;
		slot->uffd = uffd;
		atomic_store(&slot->pid, pid);
		atomic_store(&slot->pidfd, pidfd);
		if (atomic_load(&journal->nr_used) <= (uint32_t)i)
			atomic_store(&journal->nr_used, (uint32_t)i + 1);
		atomic_store(&slot->state, JOURNAL_OWED);
		return i;
	}
	return -1;
}

void journal_identify(struct journal *journal, int slot, int pid, int pidfd)
{
	atomic_store(&journal->slots[slot].pid, pid);
	atomic_store(&journal->slots[slot].pidfd, pidfd);
}

void journal_set_done(struct journal *journal, int slot)
{
	atomic_store(&journal->slots[slot].state, JOURNAL_DONE);
}

void journal_drop(struct journal *journal, int slot)
{
	atomic_store(&journal->slots[slot].state, JOURNAL_FREE);
}
