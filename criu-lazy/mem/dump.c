// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a stopped task: its areas (mm-PID.img), which pages hold something of its own
 * (pagemap-PID.img), and these pages (pages-N.img). Nothing runs in the task.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "dump/lazy_serve.h"
#include "kernel/page_scan.h"
#include "kinds/kind.h"
#include "mem/area.h"
#include "mem/area_reader.h"
#include "mem/mem.h"
#include "mem/mm_stat.h"
#include "mem/page_copy.h"
#include "mem/pagemap_flags.h"
#include "mem/prescan.h"
#include "mem/registry.h"
#include "transport/push.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/scope.h"

enum { PAGE = 4096, AUXV_MAX = 128, LINK_SIZE = PATH_MAX + 32 };

/* The files that the last mappings had: neighbours mostly share one. */
enum { KNOWN_FILES = 8 };

struct known_file {
	const struct proc_vma *vma;
	uint32_t flags;
	uint32_t id;
};

/* One task's memory while it is dumped. */
struct mem_dump {
	struct dump *dump;
	struct task *task;
	const struct proc_vmas *vmas;
	MmEntry mm;
	VmaEntry *entries; /* mm.vmas point into it */
	size_t nr_entries, capacity;
	struct known_file files[KNOWN_FILES];
	unsigned int next_file;
	struct prescan *prescan;
	struct page_scan *scan;
	struct page_runs runs; /* of one area */
	struct page_runs guards;
	struct pagemap_writer pagemap;
	struct page_copy_run *copies;
	size_t nr_copies, copies_capacity;
	uint64_t bytes;
};

static void mem_dump_fini(struct mem_dump *mem)
{
	free(mem->entries);
	free(mem->mm.vmas);
	free(mem->mm.mm_saved_auxv);
	page_scan_close(mem->scan);
	free(mem->runs.items);
	free(mem->guards.items);
	free(mem->copies);
}

#define scoped_mem_dump __attribute__((cleanup(mem_dump_fini)))

/* ---- areas --------------------------------------------------------------- */

static int read_link(int proc_fd, const char *name, char *buf, size_t size)
{
	ssize_t len = readlinkat(proc_fd, name, buf, size - 1);

	if (len < 0)
		return -errno;
	buf[len] = '\0';
	return 0;
}

/* Opens a link of /proc/PID that leads to a file, without its side effects, and dumps the file. */
static int dump_file(struct mem_dump *mem, const char *name, uint32_t flags, uint32_t *id)
{
	char link[LINK_SIZE];
	int proc_fd = mem->task->dump->proc_fd;
	scoped_fd int fd = openat(proc_fd, name, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return log_errno("task %d: open %s", mem->task->host_pid, name);
	int ret = read_link(proc_fd, name, link, sizeof(link));

	if (ret)
		return log_ret(ret, "task %d: read link %s", mem->task->host_pid, name);
	return files_dump_path(mem->dump, mem->task, fd, link, flags, id);
}

static int dump_mapped_file(struct mem_dump *mem, const struct proc_vma *vma, uint32_t flags,
			    uint32_t *id)
{
	char name[64];

	for (int i = 0; i < KNOWN_FILES; i++) {
		const struct known_file *known = &mem->files[i];

		if (known->vma && known->flags == flags && known->vma->dev == vma->dev &&
		    known->vma->ino == vma->ino && !strcmp(known->vma->name, vma->name)) {
			*id = known->id;
			return 0;
		}
	}
	snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, vma->start, vma->end);
	int ret = dump_file(mem, name, flags, id);

	if (!ret)
		mem->files[mem->next_file++ % KNOWN_FILES] = (struct known_file){ vma, flags, *id };
	return ret;
}

static int dump_mapped_segment(struct mem_dump *mem, const struct proc_vma *vma, uint32_t *shmid)
{
	char name[64];

	snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, vma->start, vma->end);
	scoped_fd int fd = openat(mem->task->dump->proc_fd, name, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return log_errno("task %d: open %s", mem->task->host_pid, name);
	return segment_dump_mapped(mem->dump, fd, shmid);
}

static VmaEntry *add_entry(struct mem_dump *mem)
{
	if (mem->nr_entries == mem->capacity) {
		size_t capacity = mem->capacity ? mem->capacity * 2 : mem->vmas->count + 8;
		VmaEntry *grown = realloc(mem->entries, capacity * sizeof(*grown));

		if (!grown)
			return NULL;
		mem->entries = grown;
		mem->capacity = capacity;
	}
	VmaEntry *entry = &mem->entries[mem->nr_entries++];

	vma_entry__init(entry);
	entry->fd = -1;
	return entry;
}

/* What a shared mapping may do with its file; a private one only ever reads it. */
static uint32_t open_flags(const struct proc_vma *vma)
{
	return vma->is_shared && vma->flags & VMA_MAY_WRITE ? O_RDWR : O_RDONLY;
}

static int fill_backing(struct mem_dump *mem, const struct mem_area *area, VmaEntry *entry)
{
	uint32_t id = 0;
	int ret = 0;

	if (area->backing == MEM_BACKING_NONE)
		return 0;
	entry->pgoff = area->vma->pgoff;
	if (area->backing == MEM_BACKING_SEGMENT) {
		ret = dump_mapped_segment(mem, area->vma, &id);
	} else {
		entry->has_fdflags = 1;
		entry->fdflags = open_flags(area->vma);
		ret = dump_mapped_file(mem, area->vma, entry->fdflags, &id);
	}
	entry->shmid = id;
	return ret;
}

static int dump_area(struct mem_dump *mem, const struct mem_area *area)
{
	VmaEntry *entry = add_entry(mem);

	if (!entry)
		return log_ret(-ENOMEM, "task %d: areas", mem->task->host_pid);
	entry->start = area->vma->start;
	entry->end = area->end;
	entry->prot = area->vma->prot;
	entry->flags = area->flags;
	entry->status = area->status;
	entry->has_madv = area->madv != 0;
	entry->madv = area->madv;
	if (area->vma->flags & VMA_LOCK_ON_FAULT)
		entry->has_lock_on_fault = entry->lock_on_fault = 1;
	if (area->vma->flags & VMA_SEALED)
		log_warn("task %d: area %" PRIx64 "-%" PRIx64 ": its seal (mseal) is not restored",
			 mem->task->host_pid, entry->start, entry->end);
	return fill_backing(mem, area, entry);
}

/* ---- pages --------------------------------------------------------------- */

static int add_copy(struct mem_dump *mem, uint64_t start, uint64_t end, bool by_fd)
{
	struct page_copy_run *last = mem->nr_copies ? &mem->copies[mem->nr_copies - 1] : NULL;

	mem->bytes += end - start;
	if (last && last->end == start && last->by_fd == by_fd) {
		last->end = end;
		return 0;
	}
	if (mem->nr_copies == mem->copies_capacity) {
		size_t capacity = mem->copies_capacity ? mem->copies_capacity * 2 : 256;
		struct page_copy_run *grown = realloc(mem->copies, capacity * sizeof(*grown));

		if (!grown)
			return log_ret(-ENOMEM, "task %d: pages", mem->task->host_pid);
		mem->copies = grown;
		mem->copies_capacity = capacity;
	}
	mem->copies[mem->nr_copies++] = (struct page_copy_run){ start, end, by_fd };
	return 0;
}

static int add_data(struct mem_dump *mem, const struct mem_area *area, uint64_t start, uint64_t end)
{
	int ret;

	if (area->is_lazy && mem->dump->lazy) {
		ret = lazy_serve_leave(mem->dump, mem->task, start, end);
		return ret ? ret : pagemap_writer_add(&mem->pagemap, start, end, PE_LAZY);
	}
	ret = add_copy(mem, start, end, !(area->vma->prot & PROT_READ));
	if (ret)
		return ret;
	return pagemap_writer_add(&mem->pagemap, start, end,
				  PE_PRESENT | (area->is_lazy ? PE_LAZY : 0));
}

static int add_guard(struct mem_dump *mem, const struct page_run *run)
{
	VmaEntry *entry = add_entry(mem);

	if (!entry)
		return log_ret(-ENOMEM, "task %d: guard pages", mem->task->host_pid);
	entry->start = run->start;
	entry->end = run->end;
	entry->status = VMA_AREA_GUARD;
	return 0;
}

static int keep_guard(struct mem_dump *mem, const struct page_run *run)
{
	struct page_runs *guards = &mem->guards;

	if (guards->count == guards->capacity) {
		size_t capacity = guards->capacity ? guards->capacity * 2 : 16;
		struct page_run *grown = realloc(guards->items, capacity * sizeof(*grown));

		if (!grown)
			return log_ret(-ENOMEM, "task %d: guard pages", mem->task->host_pid);
		guards->items = grown;
		guards->capacity = capacity;
	}
	guards->items[guards->count++] = *run;
	return 0;
}

static int find_runs(struct mem_dump *mem, const struct mem_area *area,
		     const struct page_runs **out)
{
	bool is_anonymous = area->backing == MEM_BACKING_NONE;
	int ret;

	*out = is_anonymous ? prescan_find(mem->prescan, area->vma->start, area->end) : NULL;
	if (*out)
		return 0;
	mem->runs.count = 0;
	ret = (is_anonymous ? page_scan_anonymous : page_scan_range)(mem->scan, area->vma->start,
								     area->end, &mem->runs);
	*out = &mem->runs;
	if (!ret)
		return 0;
	return log_ret(ret, "task %d: area %" PRIx64 "-%" PRIx64 ": find its pages",
		       mem->task->host_pid, area->vma->start, area->end);
}

/* Guard pages can be in any area; data counts only where it is the task's own. */
static int scan_area(struct mem_dump *mem, const struct mem_area *area)
{
	if (area->is_whole)
		return add_data(mem, area, area->vma->start, area->end);
	if (!(area->status & VMA_AREA_REGULAR) || area->status & VMA_AREA_VVAR)
		return 0;
	const struct page_runs *runs = NULL;
	int ret = find_runs(mem, area, &runs);

	for (size_t i = 0; !ret && i < runs->count; i++) {
		const struct page_run *run = &runs->items[i];

		if (run->kind == PAGE_RUN_GUARD)
			ret = keep_guard(mem, run);
		else if (area->has_own_pages)
			ret = add_data(mem, area, run->start, run->end);
	}
	return ret;
}

static int copy_pages(struct mem_dump *mem, uint32_t pages_id)
{
	scoped_image struct image *pages = NULL;
	scoped_fd int mem_fd = openat(mem->task->dump->proc_fd, "mem", O_RDONLY | O_CLOEXEC);
	char what[32];
	uint64_t started = clock_us();

	if (mem_fd < 0)
		return log_errno("task %d: open mem", mem->task->host_pid);
	struct page_push *push = mem->dump->push;
	int ret = push ? 0 : image_create(mem->dump->images, IMG_PAGES, pages_id, &pages);

	if (ret)
		return ret;
	snprintf(what, sizeof(what), "task %d", mem->task->host_pid);
	struct page_copy copy = {
		.what = what,
		.pid = mem->task->host_pid,
		.in_fd = mem_fd,
		.runs = mem->copies,
		.nr_runs = mem->nr_copies,
		.out_fd = push ? 0 : image_fd(pages),
		.nr_threads = push ? 1 : page_copy_threads(mem->bytes),
		.sink = push ? push_bytes : NULL,
		.sink_arg = push,
	};
	ret = copy.out_fd < 0 ? copy.out_fd : page_copy_run(&copy);
	if (!ret && pages)
		ret = image_close(&pages);
	mem->dump->counters.memwrite_us += clock_us() - started;
	return ret;
}

/* ---- one task ------------------------------------------------------------ */

static int classify(const struct mem_dump *mem, const struct proc_vma *vma, struct mem_area *area)
{
	const char *refusal = mem_area_classify(vma, mem->dump->shmem->shm_dev, area);

	if (!refusal)
		return 0;
	log_err("task %d: area %" PRIx64 "-%" PRIx64 " %s is %s", mem->task->host_pid, vma->start,
		vma->end, vma->name, refusal);
	return -EOPNOTSUPP;
}

/* Through the descriptor somebody reaches the pages without a fault, and it has to lead to the same
 * file as the mapping: so it is a memfd, for CRIU too. Descriptors are dumped before memory. */
static void check_descriptor(struct mem_dump *mem, struct mem_area *area)
{
	const struct mem_segment *segment =
		segment_find(mem->dump->shmem, area->vma->dev, area->vma->ino);

	if (area->backing == MEM_BACKING_SEGMENT && segment && segment->has_descriptor)
		mem_area_make_memfd(area);
}

static bool is_vvar(const struct proc_vma *vma)
{
	return !strncmp(vma->name, "[vvar", 5);
}

/* All areas in order; vvar and vvar_vclock (since 6.13) are one, as they were before. */
static int dump_areas(struct mem_dump *mem)
{
	const struct proc_vma *vma = mem->vmas->items, *end = vma + mem->vmas->count;
	int ret = 0;

	for (; !ret && vma < end; vma++) {
		struct mem_area area;

		ret = classify(mem, vma, &area);
		while (!ret && is_vvar(vma) && vma + 1 < end && is_vvar(vma + 1) &&
		       vma[1].start == area.end)
			area.end = (++vma)->end;
		if (!ret)
			check_descriptor(mem, &area);
		if (!ret)
			ret = dump_area(mem, &area);
		if (!ret)
			ret = scan_area(mem, &area);
	}
	for (size_t i = 0; !ret && i < mem->guards.count; i++)
		ret = add_guard(mem, &mem->guards.items[i]);
	return ret;
}

static int read_auxv(struct mem_dump *mem)
{
	scoped_fd int fd = openat(mem->task->dump->proc_fd, "auxv", O_RDONLY | O_CLOEXEC);
	uint64_t pairs[AUXV_MAX][2];
	ssize_t len = fd < 0 ? -1 : read(fd, pairs, sizeof(pairs));

	if (len < 0)
		return log_errno("task %d: read auxv", mem->task->host_pid);
	mem->mm.mm_saved_auxv = malloc(sizeof(pairs));
	if (!mem->mm.mm_saved_auxv)
		return log_ret(-ENOMEM, "task %d: auxv", mem->task->host_pid);
	for (size_t i = 0; i < (size_t)len / sizeof(pairs[0]) && pairs[i][0]; i++) {
		mem->mm.mm_saved_auxv[mem->mm.n_mm_saved_auxv++] = pairs[i][0];
		mem->mm.mm_saved_auxv[mem->mm.n_mm_saved_auxv++] = pairs[i][1];
	}
	return 0;
}

static int read_mm_stat(struct mem_dump *mem)
{
	struct mm_stat stat;
	int ret = mm_stat_read(mem->task->dump->proc_fd, &stat);

	if (ret)
		return log_ret(ret, "task %d: read stat", mem->task->host_pid);
	mem->mm.mm_start_code = stat.start_code;
	mem->mm.mm_end_code = stat.end_code;
	mem->mm.mm_start_data = stat.start_data;
	mem->mm.mm_end_data = stat.end_data;
	mem->mm.mm_start_stack = stat.start_stack;
	mem->mm.mm_start_brk = stat.start_brk;
	mem->mm.mm_arg_start = stat.arg_start;
	mem->mm.mm_arg_end = stat.arg_end;
	mem->mm.mm_env_start = stat.env_start;
	mem->mm.mm_env_end = stat.env_end;
	return 0;
}

static int write_mm(struct mem_dump *mem, const struct mem_task_facts *facts)
{
	int ret = dump_file(mem, "exe", O_RDONLY, &mem->mm.exe_file_id);

	if (!ret)
		ret = read_mm_stat(mem);
	if (!ret)
		ret = read_auxv(mem);
	if (ret)
		return ret;
	mem->mm.mm_brk = facts->brk;
	mem->mm.has_dumpable = mem->mm.has_thp_disabled = 1;
	mem->mm.dumpable = facts->dumpable;
	mem->mm.thp_disabled = facts->thp_disabled;
	mem->mm.vmas = malloc((mem->nr_entries + 1) * sizeof(*mem->mm.vmas));
	if (!mem->mm.vmas)
		return log_ret(-ENOMEM, "task %d: areas", mem->task->host_pid);
	for (size_t i = 0; i < mem->nr_entries; i++)
		mem->mm.vmas[mem->mm.n_vmas++] = &mem->entries[i];
	return image_write_one(mem->dump->images, IMG_MM, (uint64_t)mem->task->pid, &mem->mm.base);
}

static const struct mem_known_task *find_known(const struct shmem_registry *registry,
					       pid_t host_pid)
{
	for (size_t i = 0; i < registry->nr_tasks; i++)
		if (registry->tasks[i].host_pid == host_pid)
			return &registry->tasks[i];
	return NULL;
}

/* With smaps the pages are looked for meanwhile, which is a walk as long. Otherwise that is done
 * later (mem_dump_scan()). */
static int read_areas(struct shmem_registry *registry, const struct task *task,
		      struct mem_known_task *out)
{
	int proc_fd = task->dump->proc_fd, ret = -ENODATA;

	if (area_reader_is_worth(registry->areas, proc_fd))
		ret = area_reader_read(registry->areas, proc_fd, task->host_pid, &out->vmas);
	out->prescan = ret ? prescan_start(proc_fd, NULL) : NULL;
	if (!ret)
		return 0;
	ret = proc_vmas_read(proc_fd, &out->vmas);
	prescan_join(out->prescan);
	if (ret)
		prescan_free(out->prescan);
	return ret;
}

static int learn_task(struct dump *dump, const struct task *task)
{
	struct shmem_registry *registry = dump->shmem;
	struct mem_known_task *grown =
		realloc(registry->tasks, (registry->nr_tasks + 1) * sizeof(*grown));

	if (!grown)
		return log_ret(-ENOMEM, "task %d: areas", task->host_pid);
	registry->tasks = grown;
	struct mem_known_task *known = &grown[registry->nr_tasks];
	int ret = read_areas(registry, task, known);

	if (ret)
		return log_ret(ret, "task %d: read smaps", task->host_pid);
	known->host_pid = task->host_pid;
	registry->nr_tasks++;
	return 0;
}

static int get_vmas(struct mem_dump *mem)
{
	struct dump *dump = mem->dump;
	const struct mem_known_task *known = find_known(dump->shmem, mem->task->host_pid);
	int ret = known ? 0 : learn_task(dump, mem->task);

	if (ret)
		return ret;
	known = known ? known : find_known(dump->shmem, mem->task->host_pid);
	mem->vmas = &known->vmas;
	mem->prescan = known->prescan;
	return 0;
}

int mem_dump_check(struct dump *dump, struct task *task)
{
	struct mem_dump mem = { .dump = dump, .task = task };
	int ret = get_vmas(&mem);

	for (size_t i = 0; !ret && i < mem.vmas->count; i++) {
		struct mem_area area;

		ret = classify(&mem, &mem.vmas->items[i], &area);
	}
	return ret;
}

int mem_dump_scan(struct dump *dump, struct task *task)
{
	for (size_t i = 0; i < dump->shmem->nr_tasks; i++) {
		struct mem_known_task *known = &dump->shmem->tasks[i];

		if (known->host_pid == task->host_pid && !known->prescan)
			known->prescan = prescan_start(task->dump->proc_fd, &known->vmas);
	}
	return 0;
}

static void count_pages(struct mem_dump *mem, uint64_t started)
{
	mem->dump->counters.pages_scanned += mem->bytes / PAGE;
	mem->dump->counters.pages_written += mem->bytes / PAGE;
	mem->dump->counters.memdump_us += clock_us() - started;
	log_info("task %d: %zu areas, %" PRIu64 " pages in %zu runs", mem->task->host_pid,
		 mem->vmas->count, mem->bytes / PAGE, mem->nr_copies);
}

int mem_dump_task(struct dump *dump, struct task *task, const struct mem_task_facts *facts)
{
	scoped_mem_dump struct mem_dump mem = { .dump = dump, .task = task };
	uint64_t started = clock_us();
	int ret = get_vmas(&mem);

	if (ret)
		return ret;
	mm_entry__init(&mem.mm);
	ret = page_scan_open(task->dump->proc_fd, &mem.scan);
	if (ret)
		return log_ret(ret, "task %d: open pagemap", task->host_pid);
	prescan_join(mem.prescan);
	uint32_t pages_id = dump->next_pages_id++;

	ret = pagemap_writer_begin(dump->images, dump->push, IMG_PAGEMAP, (uint64_t)task->pid,
				   pages_id, &mem.pagemap);
	if (!ret)
		ret = dump_areas(&mem);
	ret = pagemap_writer_end(&mem.pagemap, ret);
	if (!ret)
		ret = write_mm(&mem, facts);
	if (!ret)
		ret = copy_pages(&mem, pages_id);
	if (!ret)
		count_pages(&mem, started);
	return ret;
}

/* ---- the whole dump ------------------------------------------------------ */

/* As maps shows it: plain st_dev, since tmpfs has no subvolumes. */
static int find_shm_device(uint64_t *dev)
{
	scoped_fd int fd = memfd_create("probe", MFD_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return log_errno("memory: find the device of shared memory");
	*dev = st.st_dev;
	return 0;
}

int mem_dump_begin(struct dump *dump)
{
	if (dump->shmem)
		return 0;
	dump->shmem = calloc(1, sizeof(*dump->shmem));
	if (!dump->shmem)
		return log_ret(-ENOMEM, "memory");
	if (!dump->next_pages_id)
		dump->next_pages_id = 1;
	dump->shmem->areas = area_reader_start(dump->opts->tree_pid);
	return find_shm_device(&dump->shmem->shm_dev);
}

int mem_dump_end(struct dump *dump)
{
	struct shmem_registry *registry = dump->shmem;

	if (!registry)
		return 0;
	for (size_t i = 0; i < registry->nr_tasks; i++) {
		proc_vmas_free(&registry->tasks[i].vmas);
		prescan_free(registry->tasks[i].prescan);
	}
	area_reader_free(registry->areas);
	free(registry->tasks);
	free(registry->segments);
	free(registry);
	dump->shmem = NULL;
	return 0;
}
