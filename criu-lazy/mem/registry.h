/* SPDX-License-Identifier: GPL-2.0 */
/* Inside mem/ only: what the dump of memory remembers from task to task. */
#ifndef MEM_REGISTRY_H
#define MEM_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/proc_maps.h"
#include "mem/pagemap_writer.h"

struct dump;
struct prescan;
struct area_reader;

/* A shared file whose content is dumped already, by identity. */
struct mem_segment {
	dev_t dev;
	ino_t ino;
	uint32_t shmid;
	bool has_descriptor; /* some task has it open: it is a file, whatever maps it */
};

/* The areas of a task as they were before anything was injected. */
struct mem_known_task {
	pid_t host_pid;
	struct proc_vmas vmas;
	struct prescan *prescan; /* or NULL */
};

struct shmem_registry {
	uint64_t shm_dev; /* see mem_area_classify() */
	struct mem_segment *segments;
	size_t nr_segments;
	struct mem_known_task *tasks;
	size_t nr_tasks;
	struct area_reader *areas; /* or NULL */
};

/* mem_dump_segment() for a mapping: the file is not known to be open anywhere. */
int segment_dump_mapped(struct dump *dump, int fd, uint32_t *shmid);
/* NULL if it was not met yet. */
struct mem_segment *segment_find(struct shmem_registry *registry, dev_t dev, ino_t ino);

#endif
