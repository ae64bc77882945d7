/* SPDX-License-Identifier: GPL-2.0 */
/* One pagemap_entry, decoded without allocation: large tasks have a hundred thousand of them. */
#ifndef MEM_PAGEMAP_ENTRY_H
#define MEM_PAGEMAP_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pagemap_range {
	uint64_t vaddr;
	uint64_t nr_pages; /* nr_pages where present, else compat_nr_pages */
	uint32_t flags;	   /* enum pagemap_flag; made up from in_parent in images without flags */
};

/* Decodes a packed pagemap_entry. False if it is malformed or lacks a required field. */
bool pagemap_entry_decode(const uint8_t *data, size_t len, struct pagemap_range *out);

#endif
