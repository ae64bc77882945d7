/* SPDX-License-Identifier: GPL-2.0 */
/* The little we need of the kernel's type information (Documentation/bpf/btf.rst). */
#ifndef KERNEL_BTF_H
#define KERNEL_BTF_H

#include <stddef.h>
#include <stdint.h>

struct btf {
	const uint8_t *types; /* of header.type_len bytes */
	const char *names;
	uint32_t types_len, names_len;
};

/* Where the parts lie in the text of /sys/kernel/btf/vmlinux. -EBADMSG; nothing is copied. */
int btf_open(const void *data, size_t size, struct btf *out);
/* The id of the first type of this kind (BTF_KIND_*) and name, its place in *at; 0: none. */
uint32_t btf_find(const struct btf *btf, unsigned int kind, const char *name, uint32_t *at);
/* Byte offset of a member of the structure at `at`, also inside anonymous members. -ENOENT. */
int btf_member(const struct btf *btf, uint32_t at, const char *name, uint32_t *offset);

#endif
