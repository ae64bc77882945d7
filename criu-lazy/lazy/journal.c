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
		atomic_store(&slot->parent, -1);
		atomic_store(&slot->is_young, false);
		atomic_store(&slot->has_young, false);
		atomic_store(&slot->is_doomed, false);
		slot->is_forked = false;
		slot->image_pid = 0;
		for (int version = 0; version < 2; version++)
			slot->versions[version] = (struct journal_version){ 0 };
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

struct journal_version *journal_valid(struct journal *journal, struct journal_slot *slot)
{
	uint64_t epoch = atomic_load(&journal->epoch), best = 0;
	struct journal_version *valid = NULL;

	for (int i = 0; i < 2; i++) {
		uint64_t of = atomic_load(&slot->versions[i].epoch);

		if (of > best && of <= epoch) {
			best = of;
			valid = &slot->versions[i];
		}
	}
	return valid;
}

struct journal_version *journal_spare(struct journal *journal, struct journal_slot *slot)
{
	return &slot->versions[journal_valid(journal, slot) == &slot->versions[0]];
}

const struct journal_commit *journal_last(const struct journal *journal)
{
	return &journal->commits[atomic_load(&journal->epoch) % 2];
}

uint32_t journal_applied(const struct journal *journal)
{
	const struct journal_commit *last = journal_last(journal);

	return last->batch == atomic_load(&journal->inbox.batch) ? last->nr_done : 0;
}
