/* SPDX-License-Identifier: GPL-2.0 */
/* Our own address space, from /proc/self/maps. */
#ifndef RESTORE_OWN_MAPS_H
#define RESTORE_OWN_MAPS_H

#include <stddef.h>
#include <stdint.h>

#include "restore/hole.h"

enum { OWN_VDSO_AREAS = 4 };

/* The vDSO and its data pages: adjacent areas, in order of addresses, the code last. */
struct own_vdso {
	struct hole_area areas[OWN_VDSO_AREAS];
	unsigned int count; /* 0: there is none */
};

/* Every area we have now; *areas is malloc'ed with room for `extra` more. 0 or a logged error. */
int own_maps_read(struct hole_area **areas, size_t *count, size_t extra);
/* Once, in the restorer: tasks inherit its place. */
int own_vdso_find(struct own_vdso *vdso);
uint64_t own_vdso_bytes(const struct own_vdso *vdso);

#endif
