// SPDX-License-Identifier: GPL-2.0
#include "mem/pagemap_entry.h"

#include "mem/pagemap_flags.h"

enum wire_type { WIRE_VARINT, WIRE_64BIT, WIRE_BYTES, WIRE_32BIT = 5 };

enum field {
	FIELD_VADDR = 1,
	FIELD_COMPAT_NR_PAGES,
	FIELD_IN_PARENT,
	FIELD_FLAGS,
	FIELD_NR_PAGES,
	FIELDS,
};

struct cursor {
	const uint8_t *at, *end;
};

static bool get_varint(struct cursor *c, uint64_t *out)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64 && c->at < c->end; shift += 7) {
		uint8_t byte = *c->at++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*out = value;
			return true;
		}
	}
	return false;
}

static bool skip(struct cursor *c, uint64_t len)
{
	if (len > (uint64_t)(c->end - c->at))
		return false;
	c->at += len;
	return true;
}

/* Fields of later versions are stepped over, as protobuf asks for. */
static bool skip_field(struct cursor *c, unsigned int wire)
{
	uint64_t value;

	switch (wire) {
	case WIRE_VARINT:
		return get_varint(c, &value);
	case WIRE_64BIT:
		return skip(c, 8);
	case WIRE_BYTES:
		return get_varint(c, &value) && skip(c, value);
	case WIRE_32BIT:
		return skip(c, 4);
	default:
		return false;
	}
}

bool pagemap_entry_decode(const uint8_t *data, size_t len, struct pagemap_range *out)
{
	struct cursor c = { data, data + len };
	uint64_t values[FIELDS] = { 0 };
	unsigned int seen = 0;

	while (c.at < c.end) {
		uint64_t tag;

		if (!get_varint(&c, &tag))
			return false;
		uint64_t number = tag >> 3;

		if (!number)
			return false;
		if (number >= FIELDS) {
			if (!skip_field(&c, tag & 7))
				return false;
			continue;
		}
		if ((tag & 7) != WIRE_VARINT || !get_varint(&c, &values[number]))
			return false;
		seen |= 1u << number;
	}
	if (!(seen & 1u << FIELD_VADDR) || !(seen & 1u << FIELD_COMPAT_NR_PAGES))
		return false;
	out->vaddr = values[FIELD_VADDR];
	out->nr_pages = seen & 1u << FIELD_NR_PAGES ? values[FIELD_NR_PAGES]
						    : (uint32_t)values[FIELD_COMPAT_NR_PAGES];
	if (seen & 1u << FIELD_FLAGS)
		out->flags = (uint32_t)values[FIELD_FLAGS];
	else
		out->flags = values[FIELD_IN_PARENT] ? PE_PARENT : PE_PRESENT;
	return true;
}
