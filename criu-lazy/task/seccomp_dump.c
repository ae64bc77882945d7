// SPDX-License-Identifier: GPL-2.0
/*
 * Seccomp filters. The image is one list of filters; a thread names the filter
 * that was installed first, and each filter's `prev` names the one that was
 * installed after it (the word is the format's). So threads and tasks with the
 * same chain, as fork and SECCOMP_FILTER_FLAG_TSYNC make them, name the same
 * entry, and chains share what they end with.
 *
 * The kernel counts the other way too: PTRACE_SECCOMP_GET_FILTER index 0 is the
 * oldest filter.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ptrace.h>

#include "task/task_dump.h"
#include "util/log.h"
#include "util/scope.h"

#ifndef PTRACE_SECCOMP_GET_METADATA
#define PTRACE_SECCOMP_GET_METADATA 0x420d
#endif

enum { FILTERS_MAX = 4096 };

struct seccomp_table {
	SeccompFilter **filters;
	size_t count, cap;
};

/* The installed filters of one thread, oldest first. */
struct chain {
	SeccompFilter filters[FILTERS_MAX];
	size_t count;
};

int seccomp_table_new(struct seccomp_table **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : log_ret(-ENOMEM, "seccomp");
}

void seccomp_table_free(struct seccomp_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->count; i++) {
		free(table->filters[i]->filter.data);
		free(table->filters[i]);
	}
	free(table->filters);
	free(table);
}

static void chain_free(struct chain *const *chain)
{
	for (size_t i = 0; *chain && i < (*chain)->count; i++)
		free((*chain)->filters[i].filter.data);
	free(*chain);
}

/* 1: read, 0: there is no filter of that index. */
static int read_filter(pid_t tid, size_t index, SeccompFilter *out)
{
	struct {
		uint64_t filter_off, flags;
	} meta = { .filter_off = index };
	scoped_free struct sock_filter *insns = NULL;
	long n = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, index, NULL);

	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return log_errno("task %d: read seccomp filter %zu", tid, index);
	insns = calloc(n, sizeof(*insns));
	if (!insns)
		return log_ret(-ENOMEM, "task %d: seccomp filter %zu", tid, index);
	if (ptrace(PTRACE_SECCOMP_GET_FILTER, tid, index, insns) != n)
		return log_errno("task %d: read seccomp filter %zu", tid, index);
	if (ptrace(PTRACE_SECCOMP_GET_METADATA, tid, sizeof(meta), &meta) < 0)
		return log_errno("task %d: read flags of seccomp filter %zu", tid, index);

	seccomp_filter__init(out);
	out->filter.len = n * sizeof(*insns);
	out->filter.data = (uint8_t *)take_ptr(insns);
	out->has_flags = true;
	out->flags = meta.flags;
	return 1;
}

static int read_chain(pid_t tid, struct chain *chain)
{
	int ret;

	do {
		if (chain->count == FILTERS_MAX)
			return log_ret(-E2BIG, "task %d: seccomp filters", tid);
		ret = read_filter(tid, chain->count, &chain->filters[chain->count]);
		if (ret > 0)
			chain->count++;
	} while (ret > 0);
	return ret;
}

static bool is_same(const SeccompFilter *a, const SeccompFilter *b)
{
	return a->filter.len == b->filter.len && a->flags == b->flags &&
	       a->has_prev == b->has_prev && (!a->has_prev || a->prev == b->prev) &&
	       !memcmp(a->filter.data, b->filter.data, a->filter.len);
}

/* The table's index of the filter, added if it is new; takes its bytes then. */
static int table_put(struct seccomp_table *table, SeccompFilter *filter, uint32_t *index)
{
	SeccompFilter *copy;

	for (*index = 0; *index < table->count; ++*index) {
		if (is_same(table->filters[*index], filter))
			return 0;
	}
	if (table->count == table->cap) {
		size_t cap = table->cap ? table->cap * 2 : 16;
		SeccompFilter **more = realloc(table->filters, cap * sizeof(*more));

		if (!more)
			return log_ret(-ENOMEM, "seccomp");
		table->filters = more;
		table->cap = cap;
	}
	copy = malloc(sizeof(*copy));
	if (!copy)
		return log_ret(-ENOMEM, "seccomp");
	*copy = *filter;
	filter->filter.data = NULL;
	table->filters[table->count++] = copy;
	return 0;
}

int seccomp_dump_thread(struct seccomp_table *table, const struct thread *thread, uint32_t *index)
{
	__attribute__((cleanup(chain_free))) struct chain *chain = calloc(1, sizeof(*chain));
	int ret;

	if (!chain)
		return log_ret(-ENOMEM, "task %d: seccomp", thread->host_tid);
	ret = read_chain(thread->host_tid, chain);
	if (ret)
		return ret;
	if (!chain->count)
		return log_ret(-ESRCH, "task %d: seccomp filters are gone", thread->host_tid);

	for (size_t i = chain->count; i-- > 0;) {
		chain->filters[i].has_prev = i + 1 < chain->count;
		chain->filters[i].prev = *index;
		ret = table_put(table, &chain->filters[i], index);
		if (ret)
			return ret;
	}
	return 0;
}

int seccomp_dump_image(const struct seccomp_table *table, struct image_dir *images)
{
	SeccompEntry entry = SECCOMP_ENTRY__INIT;

	entry.n_seccomp_filters = table->count;
	entry.seccomp_filters = table->filters;
	return image_write_one(images, IMG_SECCOMP, 0, &entry.base);
}
