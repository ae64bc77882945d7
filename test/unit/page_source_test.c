// SPDX-License-Identifier: GPL-2.0
/* Page sources: random chains of sets against one plain array, and damage. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mem/page_source.h"
#include "mem/pagemap_flags.h"
#include "pagemap.pb-c.h"
#include "unit.h"
#include "util/log.h"

enum { PAGE = 4096, PAGES = 96, LAYERS = 4, BASE = 0x10000, TASK = 7 };

static char root[] = "/tmp/page-source-test-XXXXXX";
static struct image_dir *dirs[LAYERS]; /* [0] is the oldest */

static uint32_t next_random(void)
{
	static uint64_t state = 42;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33);
}

/* What a page should be: 0 absent, 1 remote, otherwise local with this value in its first word. */
typedef uint64_t model[PAGES];

static void write_entry(struct image *img, size_t page, size_t count, uint32_t flags)
{
	PagemapEntry entry = PAGEMAP_ENTRY__INIT;

	entry.vaddr = BASE + page * PAGE;
	switch (next_random() % 3) {
	case 0: /* as older writers */
		entry.compat_nr_pages = (uint32_t)count;
		break;
	case 1: /* as today's */
		entry.has_nr_pages = 1;
		entry.nr_pages = count;
		break;
	default:
		entry.compat_nr_pages = (uint32_t)count;
		entry.has_nr_pages = 1;
		entry.nr_pages = count;
	}
	if (flags == PE_PARENT && next_random() % 2) {
		entry.has_in_parent = entry.in_parent = 1;
	} else {
		entry.has_flags = 1;
		entry.flags = flags;
	}
	check_eq(image_write(img, &entry.base), 0);
}

static bool is_covered(const uint64_t *pages, size_t at, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!pages[at + i])
			return false;
	return true;
}

static uint32_t choose_flags(const model below, size_t at, size_t count)
{
	static const uint32_t choices[] = { PE_PRESENT, PE_PRESENT | PE_LAZY, PE_LAZY, PE_PARENT };
	uint32_t flags = choices[next_random() % 4];

	return flags == PE_PARENT && !is_covered(below, at, count) ? PE_PRESENT : flags;
}

/* A set in dirs[layer] over the one below, and the model of what it yields. */
static void write_layer(int layer, const model below, model result)
{
	struct image *pagemap, *pages;
	PagemapHead head = PAGEMAP_HEAD__INIT;
	uint64_t buf[PAGE / 8] = { 0 };

	head.pages_id = (uint32_t)layer + 1;
	check_eq(image_create(dirs[layer], IMG_PAGEMAP, TASK, &pagemap), 0);
	check_eq(image_create(dirs[layer], IMG_PAGES, head.pages_id, &pages), 0);
	check_eq(image_write(pagemap, &head.base), 0);
	memset(result, 0, sizeof(model));
	for (size_t page = next_random() % 4; page < PAGES;) {
		size_t count = 1 + next_random() % 6;

		if (count > PAGES - page)
			count = PAGES - page;
		uint32_t flags = choose_flags(below, page, count);

		write_entry(pagemap, page, count, flags);
		for (size_t i = page; i < page + count; i++) {
			result[i] = flags & PE_PARENT ? below[i] : 1;
			if (!(flags & PE_PRESENT))
				continue;
			buf[0] = result[i] = (uint64_t)(layer + 1) << 32 | next_random() | 2;
			check_eq(image_write_raw(pages, buf, sizeof(buf)), 0);
		}
		page += count + next_random() % 3;
	}
	check_eq(image_close(&pagemap), 0);
	check_eq(image_close(&pages), 0);
}

static void check_page(const struct page_source *source, const model wanted, size_t page)
{
	uint64_t vaddr = BASE + page * PAGE, buf[PAGE / 8];
	const struct page_extent *found = page_source_find(source, vaddr + next_random() % PAGE);
	size_t first = page;
	int ret = page_source_read(source, vaddr, buf, PAGE);

	while (first < PAGES && !wanted[first])
		first++;
	if (first == PAGES) {
		check(!found);
		return;
	}
	check(found);
	check(found->vaddr <= BASE + first * PAGE);
	check(found->vaddr + found->len > BASE + first * PAGE);
	check_eq(ret, wanted[page] > 1 ? 0 : -ENODATA);
	if (wanted[page])
		check_eq(found->origin, wanted[page] > 1 ? PAGE_LOCAL : PAGE_REMOTE);
	if (!ret)
		check(buf[0] == wanted[page]);
}

static void check_run(const struct page_source *source, const model wanted)
{
	static uint64_t buf[PAGES][PAGE / 8];
	size_t page = next_random() % PAGES, count = 1 + next_random() % (PAGES - page);
	bool is_local = true;
	int ret;

	for (size_t i = page; i < page + count; i++)
		is_local = is_local && wanted[i] > 1;
	ret = page_source_read(source, BASE + page * PAGE, buf, count * PAGE);
	check_eq(ret, is_local ? 0 : -ENODATA);
	for (size_t i = 0; !ret && i < count; i++)
		check(buf[i][0] == wanted[page + i]);
}

static void test_random_chains(void)
{
	for (int round = 0; round < 100; round++) {
		static model models[LAYERS + 1];
		struct page_source *source;
		struct image_dir *top;
		char path[64];

		for (int i = 0; i < LAYERS; i++)
			write_layer(i, models[i], models[i + 1]);
		snprintf(path, sizeof(path), "%s/%d", root, LAYERS - 1);
		check_eq(image_dir_open(path, -1, &top), 0);
		check_eq(page_source_open(top, PAGE_OBJECT_TASK, TASK, &source), 0);
		image_dir_close(top);
		for (size_t page = 0; page < PAGES; page++)
			check_page(source, models[LAYERS], page);
		for (int i = 0; i < 50; i++)
			check_run(source, models[LAYERS]);
		check(!page_source_find(source, BASE + PAGES * PAGE));
		page_source_close(source);
	}
}

/* One entry over one page in pages-1.img of the oldest set, which has no parent. */
static int open_entry(uint64_t vaddr, uint64_t nr_pages, uint32_t flags, uint64_t second)
{
	struct image *img;
	PagemapHead head = PAGEMAP_HEAD__INIT;
	PagemapEntry entry = PAGEMAP_ENTRY__INIT;
	struct page_source *source = NULL;
	int ret;

	head.pages_id = 1;
	check_eq(image_create(dirs[0], IMG_PAGEMAP, TASK, &img), 0);
	check_eq(image_write(img, &head.base), 0);
	entry.vaddr = vaddr;
	entry.has_nr_pages = entry.has_flags = 1;
	entry.nr_pages = nr_pages;
	entry.flags = flags;
	check_eq(image_write(img, &entry.base), 0);
	if (second) {
		entry.vaddr = second;
		entry.flags = PE_LAZY;
		check_eq(image_write(img, &entry.base), 0);
	}
	check_eq(image_close(&img), 0);
	ret = page_source_open(dirs[0], PAGE_OBJECT_TASK, TASK, &source);
	page_source_close(source);
	return ret;
}

static void test_damage(void)
{
	struct page_source *source;
	struct image *img;
	uint8_t page[PAGE] = { 0 };

	check_eq(image_create(dirs[0], IMG_PAGES, 1, &img), 0);
	check_eq(image_write_raw(img, page, PAGE), 0);
	check_eq(image_close(&img), 0);
	check_eq(open_entry(BASE, 1, PE_PRESENT, 0), 0);
	check_eq(open_entry(BASE, 1, PE_PRESENT, BASE + PAGE), 0);
	check_eq(open_entry(BASE, 1, PE_PRESENT, BASE), -EBADMSG);
	check_eq(open_entry(BASE, 1, PE_PRESENT, BASE - PAGE), -EBADMSG);
	check_eq(open_entry(BASE, 2, PE_PRESENT, 0), -EBADMSG);
	check_eq(open_entry(BASE + 1, 1, PE_PRESENT, 0), -EBADMSG);
	check_eq(open_entry(BASE, 0, PE_PRESENT, 0), -EBADMSG);
	check_eq(open_entry(BASE, UINT64_MAX / PAGE, PE_LAZY, 0), -EBADMSG);
	check_eq(open_entry(BASE, 1ull << 60, PE_PRESENT, 0), -EBADMSG);
	check_eq(open_entry(BASE, 1, 0, 0), -EBADMSG);
	check_eq(open_entry(BASE, 1, PE_PARENT | PE_PRESENT, 0), -EBADMSG);
	check_eq(open_entry(BASE, 1, PE_PARENT, 0), -EBADMSG);
	check_eq(page_source_open(dirs[0], PAGE_OBJECT_SHMEM, TASK, &source), -ENOENT);
	/* Remote pages alone need no pages file. */
	unlinkat(image_dir_fd(dirs[0]), "pages-1.img", 0);
	check_eq(open_entry(BASE, 1, PE_LAZY, 0), 0);
	check_eq(open_entry(BASE, 1, PE_PRESENT, 0), -EBADMSG);
}

/* Random bytes in a good pagemap: refused, or something that keeps to its rules. */
static void test_mutations(void)
{
	uint8_t good[512], bad[512];
	static model nothing, some;
	int fd;
	ssize_t len;

	write_layer(0, nothing, some);
	fd = openat(image_dir_fd(dirs[0]), "pagemap-7.img", O_RDWR);
	len = read(fd, good, sizeof(good));
	check(len > 100);
	for (int round = 0; round < 5000; round++) {
		struct page_source *source = NULL;
		int ret;

		memcpy(bad, good, sizeof(good));
		for (uint32_t i = 0; i <= next_random() % 3; i++)
			bad[next_random() % (uint32_t)len] = (uint8_t)next_random();
		check_eq(pwrite(fd, bad, (size_t)len, 0), len);
		ret = page_source_open(dirs[0], PAGE_OBJECT_TASK, TASK, &source);
		check(ret == 0 || ret == -EBADMSG);
		for (size_t i = 0; source && i < page_source_extent_count(source); i++) {
			const struct page_extent *extent = &page_source_extents(source)[i];

			check(extent->vaddr % PAGE == 0 && extent->len && extent->len % PAGE == 0);
			check(!i || extent->vaddr >= extent[-1].vaddr + extent[-1].len);
			check(page_source_find(source, extent->vaddr) == extent);
		}
		page_source_close(source);
	}
	close(fd);
}

static void test_hole_in_parent(void)
{
	struct image *img;
	PagemapHead head = PAGEMAP_HEAD__INIT;
	PagemapEntry entry = PAGEMAP_ENTRY__INIT;
	struct page_source *source;

	open_entry(BASE, 2, PE_LAZY, BASE + 4 * PAGE);
	check_eq(image_create(dirs[1], IMG_PAGEMAP, TASK, &img), 0);
	check_eq(image_write(img, &head.base), 0);
	entry.vaddr = BASE;
	entry.compat_nr_pages = 5;
	entry.has_flags = 1;
	entry.flags = PE_PARENT;
	check_eq(image_write(img, &entry.base), 0);
	check_eq(image_close(&img), 0);
	check_eq(page_source_open(dirs[1], PAGE_OBJECT_TASK, TASK, &source), -EBADMSG);
}

static void test_large(void)
{
	enum { COUNT = 65536 };
	struct image *img;
	PagemapHead head = PAGEMAP_HEAD__INIT;
	PagemapEntry entry = PAGEMAP_ENTRY__INIT;
	struct page_source *source;

	check_eq(image_create(dirs[0], IMG_PAGES, 0, &img), 0);
	check_eq(ftruncate(image_fd(img), (off_t)COUNT * PAGE), 0);
	check_eq(image_close(&img), 0);
	check_eq(image_create(dirs[0], IMG_PAGEMAP, TASK, &img), 0);
	check_eq(image_write(img, &head.base), 0);
	entry.has_nr_pages = entry.has_flags = 1;
	entry.flags = PE_PRESENT;
	entry.nr_pages = 1;
	for (uint64_t i = 0; i < COUNT; i++) {
		entry.vaddr = BASE + 2 * i * PAGE;
		check_eq(image_write(img, &entry.base), 0);
	}
	check_eq(image_close(&img), 0);
	check_eq(page_source_open(dirs[0], PAGE_OBJECT_TASK, TASK, &source), 0);
	check_eq(page_source_extent_count(source), COUNT);
	check_eq(page_source_extents(source)[COUNT - 1].offset, (COUNT - 1ull) * PAGE);
	page_source_close(source);
}

int main(void)
{
	char path[64];

	log_setup(-1, LOG_LEVEL_NONE, false);
	check(mkdtemp(root));
	for (int i = 0; i < LAYERS; i++) {
		snprintf(path, sizeof(path), "%s/%d", root, i);
		check_eq(mkdir(path, 0700), 0);
		check_eq(image_dir_open(path, -1, &dirs[i]), 0);
		snprintf(path, sizeof(path), "../%d", i - 1);
		check(!i || !symlinkat(path, image_dir_fd(dirs[i]), "parent"));
	}
	test_random_chains();
	test_mutations();
	test_damage();
	test_hole_in_parent();
	test_large();
	for (int i = 0; i < LAYERS; i++) {
		int fd = image_dir_fd(dirs[i]);

		for (int id = 0; id <= LAYERS; id++) {
			snprintf(path, sizeof(path), "pages-%d.img", id);
			unlinkat(fd, path, 0);
		}
		unlinkat(fd, "pagemap-7.img", 0);
		unlinkat(fd, "parent", 0);
		image_dir_close(dirs[i]);
		snprintf(path, sizeof(path), "%s/%d", root, i);
		check_eq(rmdir(path), 0);
	}
	check_eq(rmdir(root), 0);
	return 0;
}
