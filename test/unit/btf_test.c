// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/btf.h>
#include <string.h>

#include "kernel/btf.h"
#include "unit.h"

/* struct area { union { struct { long start; }; }; long flags; }; and a function "visit". */
struct image {
	struct btf_header header;
	struct btf_type inner;
	struct btf_member inner_member;
	struct btf_type choice;
	struct btf_member choice_member;
	struct btf_type function;
	struct btf_type area;
	struct btf_member area_members[2];
	char names[32];
};

static const char names[] = "\0area\0start\0flags\0visit\0restart";
enum { AREA = 1, START = 6, FLAGS = 12, VISIT = 18 };

static uint32_t info(unsigned int kind, unsigned int count)
{
	return kind << 24 | count;
}

static void make(struct image *image)
{
	*image = (struct image){
		.header = { BTF_MAGIC, BTF_VERSION, 0, sizeof(image->header), 0,
			    offsetof(struct image, names) - sizeof(image->header),
			    offsetof(struct image, names) - sizeof(image->header), sizeof(names) },
		.inner = { 0, info(BTF_KIND_STRUCT, 1), { 8 } },
		.inner_member = { START, 9, 0 },
		.choice = { 0, info(BTF_KIND_UNION, 1), { 8 } },
		.choice_member = { 0, 1, 0 },
		.function = { VISIT, info(BTF_KIND_FUNC, 0), { 0 } },
		.area = { AREA, info(BTF_KIND_STRUCT, 2), { 24 } },
		.area_members = { { 0, 2, 64 }, { FLAGS, 9, 128 } },
	};
	memcpy(image->names, names, sizeof(names));
}

static void finds_types_and_members(void)
{
	struct image image;
	struct btf btf;
	uint32_t at, offset;

	make(&image);
	check(!btf_open(&image, sizeof(image), &btf));
	check(btf_find(&btf, BTF_KIND_FUNC, "visit", &at) == 3);
	check(btf_find(&btf, BTF_KIND_STRUCT, "visit", &at) == 0);
	check(btf_find(&btf, BTF_KIND_STRUCT, "none", &at) == 0);
	check(btf_find(&btf, BTF_KIND_STRUCT, "area", &at) == 4);
	check(!btf_member(&btf, at, "start", &offset) && offset == 8);
	check(!btf_member(&btf, at, "flags", &offset) && offset == 16);
	check(btf_member(&btf, at, "visit", &offset) == -ENOENT);
}

static void refuses_what_is_cut_off(void)
{
	struct image image;
	struct btf btf;
	uint32_t at;

	make(&image);
	for (size_t len = 0; len < sizeof(image) - 8; len++)
		check(btf_open(&image, len, &btf) || len >= offsetof(struct image, names));
	image.header.type_len = offsetof(struct image, area) - sizeof(image.header) + 4;
	check(!btf_open(&image, sizeof(image), &btf));
	check(btf_find(&btf, BTF_KIND_STRUCT, "area", &at) == 0);
	make(&image);
	image.choice_member.type = 2; /* itself */
	check(!btf_open(&image, sizeof(image), &btf));
	check(btf_find(&btf, BTF_KIND_STRUCT, "area", &at) == 4);
	uint32_t offset;
	check(btf_member(&btf, at, "start", &offset) == -ENOENT);
}

int main(void)
{
	finds_types_and_members();
	refuses_what_is_cut_off();
	return 0;
}
