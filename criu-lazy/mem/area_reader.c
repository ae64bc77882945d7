// SPDX-License-Identifier: GPL-2.0
#include "mem/area_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "kernel/vma_flags.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

/* Resident pages from which on smaps (3.5 ns each here) takes longer than to wait. */
enum { MANY_PAGES = (128 << 20) / 4096 };

struct area_reader {
	pthread_t thread;
	bool is_joined;
	int error;
	struct vma_flags *flags;
};

static bool has_many_pages(int proc_fd)
{
	scoped_text struct text text = { 0 };
	unsigned long size, resident;

	return !text_read_at(proc_fd, "statm", &text) &&
	       sscanf(text.data, "%lu %lu", &size, &resident) == 2 && resident >= MANY_PAGES;
}

static bool has_children(int proc_fd, pid_t pid)
{
	scoped_text struct text text = { 0 };
	char path[48];

	snprintf(path, sizeof(path), "task/%d/children", pid);
	return !text_read_at(proc_fd, path, &text) && text.len;
}

static void *work(void *arg)
{
	struct area_reader *reader = arg;

	reader->error = vma_flags_open(&reader->flags);
	return NULL;
}

struct area_reader *area_reader_start(pid_t root)
{
	struct area_reader *reader;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", root);
	scoped_fd int proc_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (proc_fd < 0 || (!has_many_pages(proc_fd) && !has_children(proc_fd, root)))
		return NULL;
	reader = calloc(1, sizeof(*reader));
	if (reader && pthread_create(&reader->thread, NULL, work, reader)) {
		free(reader);
		return NULL;
	}
	return reader;
}

static void join(struct area_reader *reader)
{
	if (reader->is_joined)
		return;
	pthread_join(reader->thread, NULL);
	reader->is_joined = true;
	if (reader->error)
		log_debug("areas: no BPF iterator (error %d): smaps is read", -reader->error);
}

bool area_reader_is_worth(const struct area_reader *reader, int proc_fd)
{
	return reader && has_many_pages(proc_fd);
}

int area_reader_read(struct area_reader *reader, int proc_fd, pid_t pid, struct proc_vmas *out)
{
	join(reader);
	if (reader->error)
		return reader->error;
	int ret = vma_flags_read(reader->flags, proc_fd, pid, out);

	if (ret)
		log_debug("task %d: an area of an unusual kind (error %d): smaps is read", pid,
			  -ret);
	return ret;
}

void area_reader_free(struct area_reader *reader)
{
	if (!reader)
		return;
	join(reader);
	vma_flags_close(reader->flags);
	free(reader);
}
