/* SPDX-License-Identifier: GPL-2.0 */
/* What a hello announces is looked up in the images, owed, and registered. Engine's thread. */
#ifndef LAZY_ARM_H
#define LAZY_ARM_H

#include <stdint.h>

#include "lazy/protocol.h"

struct lazyd;
struct lazy_source;
struct space;

/* The source of an object (transport/wire.h), opened if it is not; lazyd's. Logged. */
int arm_source(struct lazyd *lazyd, uint64_t object, struct lazy_source **out);
/* NULL: not open. */
struct lazy_source *arm_find_source(struct lazyd *lazyd, uint64_t object);
/* Ranges that have been checked, of the task space->image_pid. Logged. */
int arm_ranges(struct lazyd *lazyd, struct space *space, const struct lazy_range *ranges,
	       uint32_t count);

#endif
