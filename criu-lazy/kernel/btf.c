// SPDX-License-Identifier: GPL-2.0
#include "kernel/btf.h"

#include <errno.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <string.h>

/* Those that headers of 5.15 lack. */
enum { KIND_FLOAT = 16, KIND_DECL_TAG = 17, KIND_TYPE_TAG = 18, KIND_ENUM64 = 19 };

enum { DEPTH_MAX = 4 };

int btf_open(const void *data, size_t size, struct btf *out)
{
	const struct btf_header *header = data;
	uint64_t types, names;

	if (size < sizeof(*header) || header->magic != BTF_MAGIC ||
	    header->version != BTF_VERSION || header->hdr_len < sizeof(*header) ||
	    header->hdr_len % 4 || header->type_off % 4)
		return -EBADMSG;
	types = (uint64_t)header->hdr_len + header->type_off;
	names = (uint64_t)header->hdr_len + header->str_off;
	if (types + header->type_len > size || names + header->str_len > size || !header->str_len ||
	    ((const char *)data)[names + header->str_len - 1])
		return -EBADMSG;
	*out = (struct btf){
		.types = (const uint8_t *)data + types,
		.names = (const char *)data + names,
		.types_len = header->type_len,
		.names_len = header->str_len,
	};
	return 0;
}

/* The type at `at`, and how long it is; NULL: none, or one of a kind that we do not know. */
static const struct btf_type *type_at(const struct btf *btf, uint32_t at, uint32_t *len)
{
	static const struct {
		uint8_t once, each;
	} tails[] = {
		[BTF_KIND_INT] = { 4, 0 },	  [BTF_KIND_PTR] = { 0, 0 },
		[BTF_KIND_ARRAY] = { 12, 0 },	  [BTF_KIND_STRUCT] = { 0, 12 },
		[BTF_KIND_UNION] = { 0, 12 },	  [BTF_KIND_ENUM] = { 0, 8 },
		[BTF_KIND_FWD] = { 0, 0 },	  [BTF_KIND_TYPEDEF] = { 0, 0 },
		[BTF_KIND_VOLATILE] = { 0, 0 },	  [BTF_KIND_CONST] = { 0, 0 },
		[BTF_KIND_RESTRICT] = { 0, 0 },	  [BTF_KIND_FUNC] = { 0, 0 },
		[BTF_KIND_FUNC_PROTO] = { 0, 8 }, [BTF_KIND_VAR] = { 4, 0 },
		[BTF_KIND_DATASEC] = { 0, 12 },	  [KIND_FLOAT] = { 0, 0 },
		[KIND_DECL_TAG] = { 4, 0 },	  [KIND_TYPE_TAG] = { 0, 0 },
		[KIND_ENUM64] = { 0, 12 },
	};
	const struct btf_type *type = (const void *)(btf->types + at);
	uint32_t kind;
	uint64_t size;

	if (at > btf->types_len || btf->types_len - at < sizeof(*type))
		return NULL;
	kind = BTF_INFO_KIND(type->info);
	if (!kind || kind >= sizeof(tails) / sizeof(tails[0]))
		return NULL;
	size = sizeof(*type) + tails[kind].once +
	       (uint64_t)tails[kind].each * BTF_INFO_VLEN(type->info);
	if (size > btf->types_len - at)
		return NULL;
	*len = (uint32_t)size;
	return type;
}

static bool is_named(const struct btf *btf, uint32_t offset, const char *name)
{
	return offset < btf->names_len && !strcmp(btf->names + offset, name);
}

/* Names are kept once each: comparing places is enough, and a million comparisons of text are not
 * needed. 0: there is no such name. */
static uint32_t find_name(const struct btf *btf, const char *name)
{
	size_t len = strlen(name) + 1;
	const char *at = btf->names, *end = at + btf->names_len;

	while ((at = memmem(at, (size_t)(end - at), name, len))) {
		if (at > btf->names && !at[-1])
			return (uint32_t)(at - btf->names);
		at++;
	}
	return 0;
}

uint32_t btf_find(const struct btf *btf, unsigned int kind, const char *name, uint32_t *at)
{
	uint32_t wanted = find_name(btf, name), len, id = 1;
	const struct btf_type *type;

	*at = 0;
	for (; wanted && (type = type_at(btf, *at, &len)); *at += len, id++) {
		if (type->name_off == wanted && BTF_INFO_KIND(type->info) == kind)
			return id;
	}
	return 0;
}

static uint32_t place_of(const struct btf *btf, uint32_t id)
{
	uint32_t at = 0, len;

	for (uint32_t i = 1; i < id; i++, at += len) {
		if (!type_at(btf, at, &len))
			return UINT32_MAX;
	}
	return at;
}

static int find_member(const struct btf *btf, uint32_t at, const char *name, uint32_t *bits,
		       int depth)
{
	uint32_t len;
	const struct btf_type *type = type_at(btf, at, &len);
	const struct btf_member *members = (const void *)(type + 1);
	unsigned int kind = type ? BTF_INFO_KIND(type->info) : 0;

	if ((kind != BTF_KIND_STRUCT && kind != BTF_KIND_UNION) || depth > DEPTH_MAX)
		return -ENOENT;
	for (unsigned int i = 0; i < BTF_INFO_VLEN(type->info); i++) {
		const struct btf_member *member = &members[i];
		uint32_t offset = BTF_INFO_KFLAG(type->info) ? BTF_MEMBER_BIT_OFFSET(member->offset)
							     : member->offset;
		uint32_t inner = 0;

		if (member->name_off && !is_named(btf, member->name_off, name))
			continue;
		if (!member->name_off &&
		    find_member(btf, place_of(btf, member->type), name, &inner, depth + 1))
			continue;
		*bits = offset + inner;
		return 0;
	}
	return -ENOENT;
}

int btf_member(const struct btf *btf, uint32_t at, const char *name, uint32_t *offset)
{
	uint32_t bits;
	int ret = find_member(btf, at, name, &bits, 0);

	*offset = ret ? 0 : bits / 8;
	return ret;
}
