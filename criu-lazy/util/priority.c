// SPDX-License-Identifier: GPL-2.0
#include "util/priority.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define QUICK_SLICE_NS 100000ull /* the kernel's least */

enum { BULK_NICE = 10 };

/* struct sched_attr of sched_setattr(2), first version; Debian 12's libc has none. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime; /* of an ordinary thread: its slice, ns; 0: as all have it */
	uint64_t deadline, period;
};

static void set_slice(uint64_t slice, int nice)
{
	struct attributes attributes = { .size = sizeof(attributes) };

	/* Who started us with another policy meant it. */
	if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) ||
	    attributes.policy != SCHED_OTHER)
		return;
	attributes.size = sizeof(attributes);
	attributes.flags = 0;
	attributes.runtime = slice;
	if (attributes.nice < nice)
		attributes.nice = nice;
	syscall(SYS_sched_setattr, 0, &attributes, 0);
}

void priority_quick(void)
{
	set_slice(QUICK_SLICE_NS, -20);
}

void priority_bulk(void)
{
	set_slice(0, BULK_NICE);
}
