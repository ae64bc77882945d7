// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors of frozen tasks become objects of files.img. Each descriptor is duplicated here by
 * pidfd_getfd(2); a task's whole table is probed before its first object is written, so that one
 * nobody can dump is refused while nothing has been changed.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <search.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kinds/fdinfo_text.h"
#include "kinds/identity.h"
#include "kinds/kind.h"
#include "util/log.h"
#include "util/scope.h"

enum {
	LINK_BYTES = PATH_MAX + 64,
	FDINFO_MAX = 4 << 20, /* an epoll set may have many thousands of lines */
	PROBES_OPEN = 256,    /* duplicates kept between the two passes */
	KINDS_IMAGES = 8,
};

/* A probe that owns its members. */
struct held_probe {
	struct fd_probe probe;
	const struct kind_ops *ops;
	char *link, *fdinfo;
};

/* One row of "the same path file has the same id", and of files_dump_slot(). */
struct slot {
	const void *owner;
	uint64_t a, b;
	uint32_t value;
};

struct path_slot {
	uint64_t dev, ino;
	int mnt_id;
	uint32_t flags;
	char *link;
	uint32_t id;
};

struct file_registry {
	struct identity *identity;
	void *slots; /* tree of struct slot */
	void *paths; /* tree of struct path_slot */
	uint32_t last_id;
	struct {
		enum image_kind kind;
		struct image *image;
	} images[KINDS_IMAGES];
	size_t nr_images;
	int *travellers; /* descriptors kept to compare with */
	size_t nr_travellers;
};

static void held_probe_fini(struct held_probe *held)
{
	if (held->probe.fd >= 0)
		close(held->probe.fd);
	held->probe.fd = -1;
	free(held->link);
	free(held->fdinfo);
	held->link = held->fdinfo = NULL;
}

static int compare_slots(const void *left, const void *right)
{
	const struct slot *a = left, *b = right;

	if (a->owner != b->owner)
		return a->owner < b->owner ? -1 : 1;
	if (a->a != b->a)
		return a->a < b->a ? -1 : 1;
	return a->b < b->b ? -1 : a->b > b->b;
}

uint32_t *files_dump_slot(struct dump *dump, const void *owner, uint64_t a, uint64_t b)
{
	scoped_free struct slot *slot = calloc(1, sizeof(*slot));
	struct slot **found = NULL;

	if (slot) {
		*slot = (struct slot){ .owner = owner, .a = a, .b = b };
		found = tsearch(slot, &dump->files->slots, compare_slots);
	}
	if (!found) {
		log_ret(-ENOMEM, "files: a slot");
		return NULL;
	}
	if (*found == slot)
		(void)take_ptr(slot);
	return &(*found)->value;
}

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

/* ---- probing --------------------------------------------------------------- */

static int read_link(const struct task *task, int number, char **out)
{
	char name[32], buf[LINK_BYTES];
	ssize_t len;

	snprintf(name, sizeof(name), "fd/%d", number);
	len = readlinkat(task->dump->proc_fd, name, buf, sizeof(buf) - 1);
	if (len < 0)
		return log_errno("task %d: fd %d: readlink", task->pid, number);
	buf[len] = '\0';
	*out = strdup(buf);
	return *out ? 0 : log_ret(-ENOMEM, "task %d: fd %d", task->pid, number);
}

/* The whole text, grown as needed: its length is unknown before. */
static int read_text(int fd, char **out)
{
	scoped_free char *text = NULL;
	size_t size = 0, used = 0;

	for (;;) {
		ssize_t got;

		if (size - used < 1024) {
			char *bigger = size < FDINFO_MAX ? realloc(text, size + 4096 + size) : NULL;

			if (!bigger)
				return size < FDINFO_MAX ? -ENOMEM : -EFBIG;
			text = bigger;
			size += 4096 + size;
		}
		got = read(fd, text + used, size - used - 1);
		if (got < 0)
			return -errno;
		if (!got)
			break;
		used += got;
	}
	text[used] = '\0';
	*out = take_ptr(text);
	return 0;
}

static int read_fdinfo(const struct task *task, int number, char **out)
{
	scoped_fd int fd = -1;
	char name[32];
	int ret;

	snprintf(name, sizeof(name), "fdinfo/%d", number);
	fd = openat(task->dump->proc_fd, name, O_RDONLY | O_CLOEXEC);
	ret = fd < 0 ? -errno : read_text(fd, out);
	if (ret)
		return log_ret(ret, "task %d: fd %d: fdinfo", task->pid, number);
	return 0;
}

static int probe_duplicate(struct held_probe *held)
{
	struct fd_probe *probe = &held->probe;

	if (probe->fd >= 0)
		return 0;
	probe->fd = syscall(SYS_pidfd_getfd, probe->task->dump->pidfd, probe->number, 0);
	if (probe->fd < 0)
		return log_errno("task %d: fd %d (%s): pidfd_getfd", probe->task->pid,
				 probe->number, held->link ? held->link : "?");
	return 0;
}

static int probe_read(struct held_probe *held)
{
	struct fd_probe *probe = &held->probe;
	struct fdinfo_common common;
	int ret;

	ret = read_link(probe->task, probe->number, &held->link);
	if (!ret)
		ret = read_fdinfo(probe->task, probe->number, &held->fdinfo);
	if (!ret)
		ret = probe_duplicate(held);
	if (ret)
		return ret;
	probe->link = held->link;
	probe->fdinfo = held->fdinfo;
	ret = fdinfo_parse_common(held->fdinfo, &common);
	if (ret)
		return log_ret(ret, "task %d: fd %d (%s): fdinfo", probe->task->pid, probe->number,
			       held->link);
	probe->pos = common.pos;
	probe->flags = common.flags;
	probe->mnt_id = common.mnt_id;
	probe->cloexec = common.cloexec;
	if (fstat(probe->fd, &probe->st))
		return log_errno("task %d: fd %d (%s): fstat", probe->task->pid, probe->number,
				 held->link);
	return 0;
}

static int refuse(const struct fd_probe *probe)
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
		ret = probe_read(&held[i]);
		if (ret)
			return ret;
		held[i].ops = kind_detect(&held[i].probe);
		if (!held[i].ops)
			result = refuse(&held[i].probe);
		if (i >= PROBES_OPEN) {
			close(held[i].probe.fd);
			held[i].probe.fd = -1;
		}
	}
	return result;
}

static int dump_object(struct dump *dump, const struct kind_ops *ops, const struct fd_probe *probe,
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
		ret = probe_duplicate(held);
		if (!ret)
			ret = dump_object(dump, held->ops, probe, fresh);
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

/* ---- files that are no descriptors ------------------------------------------- */

static int compare_paths(const void *left, const void *right)
{
	const struct path_slot *a = left, *b = right;

	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->mnt_id != b->mnt_id)
		return a->mnt_id < b->mnt_id ? -1 : 1;
	if (a->flags != b->flags)
		return a->flags < b->flags ? -1 : 1;
	return strcmp(a->link, b->link);
}

static void path_slot_free(void *slot)
{
	free(((struct path_slot *)slot)->link);
	free(slot);
}

static int find_path(struct dump *dump, const struct fd_probe *probe, uint32_t **id)
{
	struct path_slot wanted = {
		.dev = probe->st.st_dev,
		.ino = probe->st.st_ino,
		.mnt_id = probe->mnt_id,
		.flags = probe->flags,
		.link = (char *)probe->link,
	};
	struct path_slot **found = tfind(&wanted, &dump->files->paths, compare_paths);
	struct path_slot *slot;

	if (!found) {
		slot = malloc(sizeof(*slot));
		if (slot)
			*slot = wanted;
		if (!slot || !(slot->link = strdup(probe->link))) {
			free(slot);
			return log_ret(-ENOMEM, "task %d: %s", probe->task->pid, probe->link);
		}
		slot->id = 0;
		found = tsearch(slot, &dump->files->paths, compare_paths);
		if (!found) {
			path_slot_free(slot);
			return log_ret(-ENOMEM, "task %d: %s", probe->task->pid, probe->link);
		}
	}
	*id = &(*found)->id;
	return 0;
}

static int own_mnt_id(int fd, int *mnt_id)
{
	scoped_fd int info = -1;
	scoped_free char *text = NULL;
	struct fdinfo_common common;
	char name[64];
	int ret;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	info = open(name, O_RDONLY | O_CLOEXEC);
	ret = info < 0 ? -errno : read_text(info, &text);
	if (!ret)
		ret = fdinfo_parse_common(text, &common);
	if (ret)
		return ret;
	*mnt_id = common.mnt_id;
	return 0;
}

int files_dump_path(struct dump *dump, struct task *task, int fd, const char *link, uint32_t flags,
		    uint32_t *id)
{
	struct fd_probe probe = {
		.task = task,
		.number = -1,
		.fd = fd,
		.link = link,
		.fdinfo = "",
		.flags = flags,
	};
	const struct kind_ops *ops;
	uint32_t *slot = NULL;
	int ret;

	if (fstat(fd, &probe.st))
		return log_errno("task %d: %s: fstat", task->pid, link);
	ret = own_mnt_id(fd, &probe.mnt_id);
	if (ret)
		return log_ret(ret, "task %d: %s: fdinfo", task->pid, link);
	ret = find_path(dump, &probe, &slot);
	if (ret)
		return ret;
	if (!*slot) {
		ops = kind_detect(&probe);
		if (!ops)
			return refuse(&probe);
		*slot = files_dump_new_id(dump);
		ret = dump_object(dump, ops, &probe, *slot);
	}
	*id = *slot;
	return ret;
}

/* ---- files in flight ------------------------------------------------------------ */

static int probe_own(struct held_probe *held)
{
	struct fd_probe *probe = &held->probe;
	struct fdinfo_common common;
	char name[64], buf[LINK_BYTES];
	scoped_fd int info = -1;
	ssize_t len;
	int ret;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", probe->fd);
	len = readlink(name, buf, sizeof(buf) - 1);
	if (len < 0 || fstat(probe->fd, &probe->st))
		return -errno;
	buf[len] = '\0';
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", probe->fd);
	info = open(name, O_RDONLY | O_CLOEXEC);
	ret = info < 0 ? -errno : read_text(info, &held->fdinfo);
	if (!ret)
		ret = fdinfo_parse_common(held->fdinfo, &common);
	if (ret)
		return ret;
	held->link = strdup(buf);
	if (!held->link)
		return -ENOMEM;
	probe->link = held->link;
	probe->fdinfo = held->fdinfo;
	probe->pos = common.pos;
	probe->flags = common.flags;
	probe->mnt_id = common.mnt_id;
	return 0;
}

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
		return refuse(probe);
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
	ret = dump_object(dump, held->ops, probe, *out);
	probe->fd = -1;
	return ret;
}

int files_dump_travelling(struct dump *dump, const struct task *task, int fd, uint32_t *id)
{
	struct held_probe held = { .probe = { .task = task, .number = -1, .fd = fd } };
	int ret = probe_own(&held);

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
	tdestroy(files->paths, path_slot_free);
	identity_free(files->identity);
	free(files);
	dump->files = NULL;
	return ret;
}
