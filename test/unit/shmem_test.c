// SPDX-License-Identifier: GPL-2.0
/* Shared segments: planned from areas, made, filled; and images that lie about them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem/mem.h"
#include "mem/pagemap_flags.h"
#include "pagemap.pb-c.h"
#include "restore/restore_task.h"
#include "unit.h"
#include "util/log.h"

enum { PAGE = 4096, SEGMENT = 77, AREAS = 3 };

static char root[] = "/tmp/shmem-test-XXXXXX";
static struct image_dir *images;
static struct options opts;

struct world {
	struct restore restore;
	struct restore_task task;
	MmEntry mm;
	VmaEntry areas[AREAS], *list[AREAS];
};

/* One task with `count` areas of SEGMENT, 4 pages each, one behind the other in the segment. */
static void world_init(struct world *w, size_t count)
{
	*w = (struct world){ .restore = { .opts = &opts, .images = images } };
	tree_init(&w->restore.tree);
	tree_add(&w->restore.tree, NULL, 5)->restore = &w->task;
	mm_entry__init(&w->mm);
	w->task.mm = &w->mm;
	w->mm.vmas = w->list;
	w->mm.n_vmas = count;
	for (size_t i = 0; i < count; i++) {
		VmaEntry *vma = w->list[i] = &w->areas[i];

		vma_entry__init(vma);
		vma->start = 0x10000 + i * 0x10000;
		vma->end = vma->start + 4 * PAGE;
		vma->pgoff = i * 4 * PAGE;
		vma->shmid = SEGMENT;
		vma->flags = MAP_SHARED | MAP_ANONYMOUS;
		vma->status = VMA_AREA_REGULAR | VMA_ANON_SHARED;
	}
}

static void world_fini(struct world *w)
{
	shmem_free(&w->restore);
	tree_fini(&w->restore.tree);
}

static int plan_only(struct world *w)
{
	int ret = shmem_plan(&w->restore);

	world_fini(w);
	return ret;
}

/* Pages first .. first + count hold their number plus one. */
static void write_pages(uint64_t first, uint64_t count, uint32_t flags)
{
	struct image *pagemap, *pages;
	PagemapHead head = PAGEMAP_HEAD__INIT;
	PagemapEntry entry = PAGEMAP_ENTRY__INIT;
	uint64_t page[PAGE / 8] = { 0 };

	head.pages_id = 1;
	entry.vaddr = first * PAGE;
	entry.compat_nr_pages = (uint32_t)count;
	entry.has_flags = 1;
	entry.flags = flags;
	check_eq(image_create(images, IMG_SHMEM_PAGEMAP, SEGMENT, &pagemap), 0);
	check_eq(image_write(pagemap, &head.base), 0);
	check_eq(image_write(pagemap, &entry.base), 0);
	check_eq(image_close(&pagemap), 0);
	check_eq(image_create(images, IMG_PAGES, 1, &pages), 0);
	for (uint64_t i = 0; i < count; i++) {
		page[0] = first + i + 1;
		check_eq(image_write_raw(pages, page, PAGE), 0);
	}
	check_eq(image_close(&pages), 0);
}

static uint64_t first_word(int fd, uint64_t page)
{
	uint64_t word = 0;

	check_eq(pread(fd, &word, sizeof(word), (off_t)(page * PAGE)), sizeof(word));
	return word;
}

static void test_fill(void)
{
	struct world w;
	struct stat st;
	int fd;

	write_pages(2, 3, PE_PRESENT);
	world_init(&w, 3);
	check_eq(shmem_plan(&w.restore), 0);
	check(!shmem_is_lazy(&w.restore, SEGMENT));
	check_eq(shmem_open_all(&w.restore), 0);
	fd = shmem_fd(&w.restore, SEGMENT);
	check(fd >= 0);
	check_eq(shmem_fd(&w.restore, SEGMENT + 1), -1);
	check_eq(fstat(fd, &st), 0);
	check_eq(st.st_size, 12 * PAGE);
	for (uint64_t page = 0; page < 12; page++)
		check(first_word(fd, page) == (page >= 2 && page < 5 ? page + 1 : 0));
	world_fini(&w);
}

/* Content behind what anybody maps counts: somebody may mremap() into it. */
static void test_unmapped_tail(void)
{
	struct world w;

	write_pages(6, 2, PE_PRESENT);
	world_init(&w, 1);
	check_eq(shmem_plan(&w.restore), 0);
	check_eq(shmem_open_all(&w.restore), 0);
	check(first_word(shmem_fd(&w.restore, SEGMENT), 7) == 8);
	world_fini(&w);
}

static void test_lazy(void)
{
	struct world w;

	write_pages(0, 1, PE_PRESENT);
	opts.lazy_pages = true;
	world_init(&w, 2);
	check_eq(shmem_plan(&w.restore), 0);
	check(shmem_is_lazy(&w.restore, SEGMENT));
	check(!shmem_is_lazy(&w.restore, SEGMENT + 1));
	check_eq(shmem_open_all(&w.restore), 0);
	check(first_word(shmem_fd(&w.restore, SEGMENT), 0) == 0);
	world_fini(&w);
	/* A locked area is not registered with the daemon, so nothing would fill what it sees. */
	world_init(&w, 2);
	w.areas[1].flags |= MAP_LOCKED;
	check_eq(shmem_plan(&w.restore), 0);
	check(!shmem_is_lazy(&w.restore, SEGMENT));
	world_fini(&w);
	/* Pages on a server are fine only if somebody will fetch them. */
	write_pages(0, 1, PE_LAZY);
	world_init(&w, 1);
	check_eq(plan_only(&w), 0);
	opts.lazy_pages = false;
	world_init(&w, 1);
	check_eq(plan_only(&w), -EOPNOTSUPP);
}

static void test_damage(void)
{
	struct world w;

	write_pages(0, 1, PE_PRESENT);
	world_init(&w, 1);
	w.areas[0].pgoff = 1ull << 60;
	check_eq(plan_only(&w), -EBADMSG);
	world_init(&w, 1);
	w.areas[0].end = w.areas[0].start;
	check_eq(plan_only(&w), -EBADMSG);
	world_init(&w, 2);
	w.areas[1].flags |= MAP_HUGETLB;
	check_eq(plan_only(&w), -EBADMSG);
	world_init(&w, 1);
	w.areas[0].status = VMA_AREA_REGULAR | VMA_AREA_SYSVIPC;
	check_eq(plan_only(&w), -EOPNOTSUPP);
	write_pages(1ull << 40, 1, PE_PRESENT);
	world_init(&w, 1);
	check_eq(plan_only(&w), -EBADMSG);
}

static void test_fill_foreign_file(void)
{
	struct restore restore = { .opts = &opts, .images = images };
	int fd = memfd_create("test", MFD_CLOEXEC);

	/* A file that ends inside its last page keeps its size; pages behind it are damage. */
	write_pages(0, 2, PE_PRESENT);
	check_eq(ftruncate(fd, PAGE + 100), 0);
	check_eq(shmem_fill(&restore, SEGMENT, fd), 0);
	check_eq(lseek(fd, 0, SEEK_END), PAGE + 100);
	check(first_word(fd, 1) == 2);
	check_eq(ftruncate(fd, PAGE), 0);
	check_eq(shmem_fill(&restore, SEGMENT, fd), -EBADMSG);
	check_eq(shmem_fill(&restore, SEGMENT + 1, fd), 0);
	close(fd);
}

int main(void)
{
	log_setup(-1, LOG_LEVEL_NONE, false);
	check(mkdtemp(root));
	check_eq(image_dir_open(root, -1, &images), 0);
	test_fill();
	test_unmapped_tail();
	test_lazy();
	test_damage();
	test_fill_foreign_file();
	unlinkat(image_dir_fd(images), "pagemap-shmem-77.img", 0);
	unlinkat(image_dir_fd(images), "pages-1.img", 0);
	image_dir_close(images);
	check_eq(rmdir(root), 0);
	return 0;
}
