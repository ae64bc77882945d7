/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside the dump of descriptors (kinds/files_dump.c and its neighbours): what is known of objects
 * that were written. In the dumper, single threaded.
 */
#ifndef KINDS_FILES_REGISTRY_H
#define KINDS_FILES_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "image/image.h"
#include "kinds/identity.h"
#include "kinds/kind.h"
#include "util/text.h"

enum { KINDS_IMAGES = 8 };

struct file_registry {
	struct identity *identity;
	void *slots; /* search trees: files_slots.c */
	void *paths; /* files_paths.c */
	uint32_t last_id;
	struct {
		enum image_kind kind;
		struct image *image;
	} images[KINDS_IMAGES];
	size_t nr_images;
	int *travellers; /* descriptors kept to compare with */
	size_t nr_travellers;
};

/* A probe that owns its members. fd -1: not duplicated (yet, or any more). */
struct held_probe {
	struct fd_probe probe;
	const struct kind_ops *ops;
	char *link;
	struct text fdinfo;
};

/* ---- kinds/files_probe.c ---- */

/* Reads link, fdinfo and status of probe.task's descriptor probe.number, and duplicates it if
 * probe.fd is -1. 0 or -errno, logged. */
int held_probe_read(struct held_probe *held);
/* The same for probe.fd, a descriptor of our own. -errno is not logged. */
int held_probe_read_own(struct held_probe *held);
/* Duplicates the task's descriptor again, if it is not held now. 0 or -errno, logged. */
int held_probe_duplicate(struct held_probe *held);
/* Closes and frees what it owns; may be called again. */
void held_probe_fini(struct held_probe *held);

/* ---- kinds/files_dump.c ---- */

/* Writes a new object of kind ops under id. 0 or -errno, logged. */
int files_dump_object(struct dump *dump, const struct kind_ops *ops, const struct fd_probe *probe,
		      uint32_t id);
/* Says that no kind knows it; -EOPNOTSUPP. */
int files_refuse(const struct fd_probe *probe);

/* ---- kinds/files_paths.c ---- */

/* Frees what files_dump_path() has remembered. */
void files_paths_free(struct file_registry *files);

#endif
