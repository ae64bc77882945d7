// SPDX-License-Identifier: GPL-2.0
#include "transport/provider.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mem/page_source.h"
#include "transport/wire.h"
#include "util/bisect.h"
#include "util/log.h"
#include "util/scope.h"

struct run {
	uint64_t start, end;
	uint64_t index; /* of its first page */
};

struct provider_object {
	uint64_t name;
	size_t slot;
	struct run *runs;
	size_t nr_runs, capacity;
	uint64_t nr_pages;
	struct page_source *images; /* NULL: a task */
	pid_t pid;
	int mem_fd;
	atomic_bool has_complained;
};

struct provider {
	struct provider_object **objects;
	size_t count;
};

/* ---- filling ----------------------------------------------------------------- */

int provider_new(struct provider **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void free_object(struct provider_object *object)
{
	page_source_close(object->images);
	if (object->mem_fd >= 0)
		close(object->mem_fd);
	free(object->runs);
	free(object);
}

void provider_free(struct provider *provider)
{
	if (!provider)
		return;
	for (size_t i = 0; i < provider->count; i++)
		free_object(provider->objects[i]);
	free(provider->objects);
	free(provider);
}

static struct provider_object *add_object(struct provider *provider, uint64_t name)
{
	size_t size = (provider->count + 1) * sizeof(*provider->objects);
	struct provider_object **grown = realloc(provider->objects, size);
	struct provider_object *object = calloc(1, sizeof(*object));

	if (grown)
		provider->objects = grown;
	if (!grown || !object) {
		free(object);
		return NULL;
	}
	object->name = name;
	object->mem_fd = -1;
	grown[provider->count++] = object;
	return object;
}

int provider_add_task(struct provider *provider, uint64_t name, pid_t pid, int mem_fd,
		      struct provider_object **out)
{
	struct provider_object *object = add_object(provider, name);

	if (!object) {
		close(mem_fd);
		return -ENOMEM;
	}
	object->pid = pid;
	object->mem_fd = mem_fd;
	*out = object;
	return 0;
}

void provider_move_task(struct provider_object *object, pid_t pid, int mem_fd)
{
	close(object->mem_fd);
	object->mem_fd = mem_fd;
	object->pid = pid;
}

int provider_add_range(struct provider_object *object, uint64_t start, uint64_t end)
{
	struct run *last = object->nr_runs ? &object->runs[object->nr_runs - 1] : NULL;
	uint64_t pages = (end - start) / WIRE_PAGE;

	if (last && last->end == start) {
		last->end = end;
		object->nr_pages += pages;
		return 0;
	}
	if (object->nr_runs == object->capacity) {
		size_t capacity = object->capacity ? object->capacity * 2 : 256;
		struct run *grown = realloc(object->runs, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		object->runs = grown;
		object->capacity = capacity;
	}
	object->runs[object->nr_runs++] = (struct run){ start, end, object->nr_pages };
	object->nr_pages += pages;
	return 0;
}

static int add_source(struct provider *provider, uint64_t name, struct page_source *pages)
{
	struct provider_object *object = add_object(provider, name);
	const struct page_extent *extents = page_source_extents(pages);
	int ret = 0;

	if (!object) {
		page_source_close(pages);
		return -ENOMEM;
	}
	object->images = pages;
	for (size_t i = 0; !ret && i < page_source_extent_count(pages); i++) {
		if (extents[i].origin == PAGE_LOCAL)
			ret = provider_add_range(object, extents[i].vaddr,
						 extents[i].vaddr + extents[i].len);
	}
	return ret;
}

/* "pagemap-12.img", "pagemap-shmem-12.img". */
static bool parse_name(const char *name, enum page_object *object, uint64_t *id)
{
	int end = 0;

	*object = PAGE_OBJECT_TASK;
	if (sscanf(name, "pagemap-%20" SCNu64 ".img%n", id, &end) == 1 && end && !name[end])
		return true;
	end = 0;
	*object = PAGE_OBJECT_SHMEM;
	return sscanf(name, "pagemap-shmem-%20" SCNu64 ".img%n", id, &end) == 1 && end &&
	       !name[end];
}

int provider_add_images(struct provider *provider, struct image_dir *images)
{
	int fd = openat(image_dir_fd(images), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scoped_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int ret = 0;

	if (!dir)
		return log_errno("images: list the directory");
	while (!ret && (entry = readdir(dir))) {
		struct page_source *pages;
		enum page_object type;
		uint64_t id;

		if (!parse_name(entry->d_name, &type, &id))
			continue;
		ret = page_source_open(images, type, id, &pages);
		if (!ret)
			ret = add_source(
				provider,
				wire_object(type == PAGE_OBJECT_TASK ? WIRE_TASK : WIRE_SHMEM, id),
				pages);
	}
	return ret;
}

static int compare_objects(const void *a, const void *b)
{
	const struct provider_object *x = *(struct provider_object *const *)a;
	const struct provider_object *y = *(struct provider_object *const *)b;

	return x->name < y->name ? -1 : x->name > y->name;
}

void provider_seal(struct provider *provider)
{
	if (provider->count)
		qsort(provider->objects, provider->count, sizeof(*provider->objects),
		      compare_objects);
	for (size_t i = 0; i < provider->count; i++)
		provider->objects[i]->slot = i;
}

/* ---- looking ----------------------------------------------------------------- */

size_t provider_count(const struct provider *provider)
{
	return provider->count;
}

struct provider_object *provider_at(const struct provider *provider, size_t i)
{
	return provider->objects[i];
}

struct provider_object *provider_find(const struct provider *provider, uint64_t name)
{
	size_t at = bisect(provider->count, i, provider->objects[i]->name >= name);

	return at < provider->count && provider->objects[at]->name == name ? provider->objects[at]
									   : NULL;
}

struct provider_object *provider_find_id(const struct provider *provider, uint64_t id)
{
	return provider_find(provider, wire_object(WIRE_TASK, id));
}

uint64_t provider_object_name(const struct provider_object *object)
{
	return object->name;
}

size_t provider_object_slot(const struct provider_object *object)
{
	return object->slot;
}

uint64_t provider_pages(const struct provider_object *object)
{
	return object->nr_pages;
}

/* The first run that ends behind vaddr. */
static size_t run_after(const struct provider_object *object, uint64_t vaddr)
{
	return bisect(object->nr_runs, i, object->runs[i].end > vaddr);
}

uint64_t provider_address(const struct provider_object *object, uint64_t index)
{
	/* The last run that starts at index or before; the first starts at 0. */
	const struct run *run =
		&object->runs[bisect(object->nr_runs, i, object->runs[i].index > index) - 1];

	return run->start + (index - run->index) * WIRE_PAGE;
}

uint64_t provider_index(const struct provider_object *object, uint64_t vaddr, uint64_t *run)
{
	size_t i = run_after(object, vaddr);
	uint64_t skip;

	*run = 0;
	if (i == object->nr_runs)
		return object->nr_pages;
	skip = vaddr > object->runs[i].start ? (vaddr - object->runs[i].start) / WIRE_PAGE : 0;
	*run = (object->runs[i].end - object->runs[i].start) / WIRE_PAGE - skip;
	return object->runs[i].index + skip;
}

/* ---- reading ----------------------------------------------------------------- */

/* Whole pages read, from the start. */
static uint64_t read_task(const struct provider_object *object, uint64_t vaddr, uint64_t len,
			  uint8_t *buf)
{
	struct iovec local = { buf, len }, remote = { (void *)(uintptr_t)vaddr, len };
	ssize_t got = process_vm_readv(object->pid, &local, 1, &remote, 1, 0);
	uint64_t done = got > 0 ? (uint64_t)got / WIRE_PAGE * WIRE_PAGE : 0;

	/* Where the area is not readable, /proc/PID/mem still is. */
	while (done < len) {
		got = pread(object->mem_fd, buf + done, len - done, (off_t)(vaddr + done));
		if (got < (ssize_t)WIRE_PAGE)
			break;
		done += (uint64_t)got / WIRE_PAGE * WIRE_PAGE;
	}
	return done;
}

static void complain(struct provider_object *object, uint64_t vaddr)
{
	if (!atomic_exchange(&object->has_complained, true))
		log_err("object %" PRIu64 " type %u: page 0x%" PRIx64
			" cannot be read; it is refused, and so are all others like it",
			wire_object_id(object->name), wire_object_type(object->name), vaddr);
}

enum provider_result provider_read(struct provider_object *object, uint64_t vaddr,
				   uint64_t nr_pages, void *buf, uint64_t *done)
{
	size_t i = run_after(object, vaddr);
	const struct run *run = i < object->nr_runs ? &object->runs[i] : NULL;
	uint64_t end = vaddr + nr_pages * WIRE_PAGE, got;

	*done = nr_pages;
	if (!run || run->start > vaddr) {
		if (run && run->start < end)
			*done = (run->start - vaddr) / WIRE_PAGE;
		return PROVIDER_GONE;
	}
	if (end > run->end)
		end = run->end;
	if (object->images)
		got = page_source_read(object->images, vaddr, buf, end - vaddr) ? 0 : end - vaddr;
	else
		got = read_task(object, vaddr, end - vaddr, buf);
	if (!got) {
		complain(object, vaddr);
		*done = 1;
		/* One page of several may be the bad one. */
		if (end - vaddr > WIRE_PAGE)
			return provider_read(object, vaddr, 1, buf, done);
		return PROVIDER_GONE;
	}
	*done = got / WIRE_PAGE;
	return PROVIDER_DATA;
}
