// SPDX-License-Identifier: GPL-2.0
/* Pagemaps with a parent set: the input is a 16-bit length, that much of the set, then the parent.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "image/kinds.h"
#include "mem/page_source.h"

enum { PAGE = 4096, PAGES_FILE = 8 * PAGE };

static struct image_dir *dir;

#define HEAD			   "\x02\x00\x00\x00\x08\x01"
#define ENTRY(vaddr, pages, flags) "\x0a\x00\x00\x00\x08" vaddr "\x10" pages "\x20" flags

const struct fuzz_seed fuzz_seeds[] = {
	FUZZ_TEXT("\x22\x00" HEAD ENTRY("\x80\x20", "\x02", "\x04") ENTRY(
		"\x80\x80\x01", "\x01", "\x01") HEAD ENTRY("\x80\x80\x01", "\x03", "\x06")),
	FUZZ_TEXT("\xff\x00" HEAD ENTRY("\x80\x20", "\x08", "\x06")
			  ENTRY("\x80\x80\x01", "\x01", "\x02")),
	{ NULL, 0 },
};

void fuzz_begin(void)
{
	static const uint8_t pages[PAGES_FILE];

	fuzz_enter_directory();
	if (mkdir("old", 0700) || symlink("old", "parent"))
		__builtin_trap();
	fuzz_put_file("pages-1.img", NULL, 0, pages, sizeof(pages));
	fuzz_put_file("old/pages-1.img", NULL, 0, pages, sizeof(pages));
	if (image_dir_open(".", -1, &dir))
		__builtin_trap();
}

static void check(const struct page_source *source)
{
	const struct page_extent *extents = page_source_extents(source);
	size_t count = page_source_extent_count(source);
	uint8_t buf[PAGE];

	for (size_t i = 0; i < count; i++) {
		uint64_t end = extents[i].vaddr + extents[i].len;

		if (!extents[i].len || end < extents[i].vaddr || (extents[i].vaddr | end) % PAGE ||
		    (i && extents[i].vaddr < extents[i - 1].vaddr + extents[i - 1].len))
			__builtin_trap();
		if (extents[i].origin == PAGE_LOCAL &&
		    (extents[i].offset > PAGES_FILE ||
		     extents[i].len > PAGES_FILE - extents[i].offset))
			__builtin_trap();
		if (page_source_find(source, end - 1) != &extents[i])
			__builtin_trap();
		if ((page_source_read(source, end - PAGE, buf, PAGE) == 0) !=
		    (extents[i].origin == PAGE_LOCAL))
			__builtin_trap();
	}
}

void fuzz_one(const uint8_t *data, size_t len)
{
	const uint32_t magics[] = { IMAGE_MAGIC_COMMON, image_kind_info(IMG_PAGEMAP)->magic };
	struct page_source *source = NULL;
	size_t top;

	if (len < 2)
		return;
	top = data[0] | data[1] << 8;
	data += 2;
	len -= 2;
	top = top < len ? top : len;
	fuzz_put_file("pagemap-1.img", magics, sizeof(magics), data, top);
	fuzz_put_file("old/pagemap-1.img", magics, sizeof(magics), data + top, len - top);
	if (page_source_open(dir, PAGE_OBJECT_TASK, 1, &source))
		return;
	check(source);
	page_source_close(source);
}
