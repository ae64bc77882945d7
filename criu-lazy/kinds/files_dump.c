// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors of frozen tasks become objects of files.img. Each descriptor is duplicated here by
 * pidfd_getfd(2); a task's whole table is probed before its first object is written, so that one
 * nobody can dump is refused while nothing has been changed.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <string.h>
#include <unistd.h>

#include "kinds/files_registry.h"
#include "util/log.h"
#include "util/scope.h"

enum { PROBES_OPEN = 256 }; /* duplicates kept between the two passes */

uint32_t files_dump_new_id(struct dump *dump)
{
	return ++dump->files->last_id;
}

int files_dump_entry(struct dump *dump, const FileEntry *entry)
{
	return image_write(dump->files_img, &entry->base);
}

int files_dump_image(struct dump *dump, enum image_kind kind, struct image **out)
{
	struct file_registry *files = dump->files;
	int ret;

	for (size_t i = 0; i < files->nr_images; i++) {
		if (files->images[i].kind == kind) {
			*out = files->images[i].image;
			return 0;
		}
	}
	if (files->nr_images == KINDS_IMAGES)
		return log_ret(-ENOSPC, "files: too many images of kinds");
	ret = image_create(dump->images, kind, 0, out);
	if (ret)
		return ret;
	files->images[files->nr_images].kind = kind;
	files->images[files->nr_images++].image = *out;
	return 0;
}

int files_refuse(const struct fd_probe *probe)
{
	return log_ret(-EOPNOTSUPP, "task %d: fd %d: %s (mode 0%o) cannot be dumped",
		       probe->task->pid, probe->number, probe->link, probe->st.st_mode);
}

/* ---- one descriptor table ---------------------------------------------------- */

struct fd_numbers {
	int *items;
	size_t count;
};

static int compare_ints(const void *left, const void *right)
{
	int a = *(const int *)left, b = *(const int *)right;

	return a < b ? -1 : a > b;
}

static int list_numbers(const struct task *task, struct fd_numbers *out)
{
	int fd = openat(task->dump->proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scoped_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t size = 0;
	struct dirent *entry;

	if (!dir)
		return log_errno("task %d: list descriptors", task->pid);
	while ((errno = 0, entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (out->count == size) {
			int *bigger = realloc(out->items, (size + 64) * 2 * sizeof(int));

			if (!bigger)
				return log_ret(-ENOMEM, "task %d: list descriptors", task->pid);
			out->items = bigger;
			size = (size + 64) * 2;
		}
		out->items[out->count++] = atoi(entry->d_name);
	}
	if (errno)
		return log_errno("task %d: list descriptors", task->pid);
	if (out->count)
		qsort(out->items, out->count, sizeof(int), compare_ints);
	return 0;
}

/* First pass: looks at every descriptor; all that cannot be dumped are told at once. */
static int probe_table(struct task *task, const struct fd_numbers *numbers, struct held_probe *held)
{
	int result = 0;

	for (size_t i = 0; i < numbers->count; i++) {
		int ret;

		held[i].probe.task = task;
		held[i].probe.number = numbers->items[i];
		ret = held_probe_read(&held[i]);
		if (ret)
			return ret;
		held[i].ops = kind_detect(&held[i].probe);
		if (!held[i].ops)
			result = files_refuse(&held[i].probe);
		if (i >= PROBES_OPEN) {
			close(held[i].probe.fd);
			held[i].probe.fd = -1;
		}
	}
	return result;
}

int files_dump_object(struct dump *dump, const struct kind_ops *ops, const struct fd_probe *probe,
		      uint32_t id)
{
	FileEntry *entry = message_new(FileEntry, file_entry);
	int ret;

	if (!entry)
		return log_ret(-ENOMEM, "task %d: fd %d (%s)", probe->task->pid, probe->number,
			       probe->link);
	entry->type = ops->type;
	entry->id = id;
	ret = ops->dump(dump, probe, entry);
	if (!ret)
		ret = files_dump_entry(dump, entry);
	file_entry__free_unpacked(entry, NULL);
	if (!ret)
		log_debug("task %d: fd %d: %s is %s object %u", probe->task->pid, probe->number,
			  probe->link, ops->name, id);
	return ret;
}

static int dump_held(struct dump *dump, struct held_probe *held, struct image *fdinfo)
{
	const struct fd_probe *probe = &held->probe;
	FdinfoEntry entry = FDINFO_ENTRY__INIT;
	struct identity_key key = {
		.dev = probe->st.st_dev,
		.ino = probe->st.st_ino,
		.flags = probe->flags,
		.host_pid = probe->task->host_pid,
		.number = probe->number,
	};
	bool is_new;
	uint32_t *id;
	int ret;

	ret = identity_find(dump->files->identity, &key, &id);
	is_new = !ret && !*id;
	if (is_new) {
		uint32_t fresh = files_dump_new_id(dump);

		*id = fresh;
		ret = held_probe_duplicate(held);
		if (!ret)
			ret = files_dump_object(dump, held->ops, probe, fresh);
	}
	if (!ret)
		ret = locks_dump_descriptor(dump, probe->task, probe->number, probe->fdinfo,
					    is_new);
	if (ret)
		return ret;
	entry.id = *id;
	entry.fd = probe->number;
	entry.flags = probe->cloexec ? FD_CLOEXEC : 0;
	entry.type = held->ops->type;
	return image_write(fdinfo, &entry.base);
}

static int dump_probed(struct dump *dump, uint32_t files_id, struct held_probe *held, size_t count)
{
	scoped_image struct image *fdinfo = NULL;
	int ret;

	ret = image_create(dump->images, IMG_FDINFO, files_id, &fdinfo);
	for (size_t i = 0; !ret && i < count; i++) {
		ret = dump_held(dump, &held[i], fdinfo);
		held_probe_fini(&held[i]);
	}
	return ret ? ret : image_close(&fdinfo);
}

int files_dump_task(struct dump *dump, struct task *task, uint32_t files_id)
{
	struct fd_numbers numbers = { 0 };
	scoped_free int *items = NULL;
	scoped_free struct held_probe *held = NULL;
	int ret;

	ret = list_numbers(task, &numbers);
	items = numbers.items;
	if (ret)
		return ret;
	held = calloc(numbers.count + 1, sizeof(*held));
	if (!held)
		return log_ret(-ENOMEM, "task %d: %zu descriptors", task->pid, numbers.count);
	for (size_t i = 0; i < numbers.count; i++)
		held[i].probe.fd = -1;
	ret = probe_table(task, &numbers, held);
	if (!ret)
		ret = dump_probed(dump, files_id, held, numbers.count);
	for (size_t i = 0; i < numbers.count; i++)
		held_probe_fini(&held[i]);
	return ret;
}

/* ---- files in flight ------------------------------------------------------------ */

static int keep_traveller(struct file_registry *files, int fd)
{
	int *bigger = realloc(files->travellers, (files->nr_travellers + 1) * sizeof(int));

	if (!bigger)
		return log_ret(-ENOMEM, "files in flight");
	files->travellers = bigger;
	bigger[files->nr_travellers++] = fd;
	return 0;
}

static int dump_travelling(struct dump *dump, struct held_probe *held, uint32_t *out)
{
	struct fd_probe *probe = &held->probe;
	struct identity_key key = {
		.dev = probe->st.st_dev,
		.ino = probe->st.st_ino,
		.flags = probe->flags,
		.host_pid = getpid(),
		.number = probe->fd,
	};
	uint32_t *id;
	int ret;

	held->ops = kind_detect(probe);
	if (!held->ops)
		return files_refuse(probe);
	ret = identity_find(dump->files->identity, &key, &id);
	if (ret)
		return ret;
	if (*id) {
		*out = *id;
		return 0;
	}
	*out = *id = files_dump_new_id(dump);
	ret = keep_traveller(dump->files, probe->fd);
	if (ret)
		return ret;
	ret = files_dump_object(dump, held->ops, probe, *out);
	probe->fd = -1;
	return ret;
}

int files_dump_travelling(struct dump *dump, const struct task *task, int fd, uint32_t *id)
{
	struct held_probe held = { .probe = { .task = task, .number = -1, .fd = fd } };
	int ret = held_probe_read_own(&held);

	if (ret)
		log_ret(ret, "task %d: a file in flight", task->pid);
	else
		ret = dump_travelling(dump, &held, id);
	held_probe_fini(&held);
	return ret;
}

/* ---- begin and end ------------------------------------------------------------ */

int files_dump_begin(struct dump *dump)
{
	struct file_registry *files = calloc(1, sizeof(*files));
	int ret;

	if (!files)
		return log_ret(-ENOMEM, "files");
	dump->files = files;
	ret = identity_new(&files->identity);
	if (!ret)
		ret = image_create(dump->images, IMG_FILES, 0, &dump->files_img);
	return ret;
}

/* Also after a failure: everything is released, the first error wins. */
int files_dump_end(struct dump *dump)
{
	struct file_registry *files = dump->files;
	int ret = 0;

	if (dump->files_img)
		ret = image_close(&dump->files_img);
	if (!files)
		return ret;
	for (size_t i = 0; i < files->nr_images; i++) {
		int err = image_close(&files->images[i].image);

		ret = ret ? ret : err;
	}
	while (files->nr_travellers)
		close(files->travellers[--files->nr_travellers]);
	free(files->travellers);
	tdestroy(files->slots, free);
	files_paths_free(files);
	identity_free(files->identity);
	free(files);
	dump->files = NULL;
	return ret;
}
