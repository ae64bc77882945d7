// SPDX-License-Identifier: GPL-2.0
/* Reading files.img and fdinfo-N.img into the table of objects. */
#include "kinds/files_table.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "core.pb-c.h"
#include "util/bisect.h"
#include "util/log.h"
#include "util/scope.h"

enum {
	OBJECTS_MAX = 1 << 24,
	NUMBER_MAX = 1 << 28, /* descriptors are below fs.nr_open, which is far below */
};

/* ---- objects ------------------------------------------------------------------------- */

struct entries {
	FileEntry **items;
	size_t count, size;
};

static void entries_fini(struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++) {
		if (entries->items[i])
			file_entry__free_unpacked(entries->items[i], NULL);
	}
	free(entries->items);
}

static int entries_append(struct entries *entries, FileEntry *entry)
{
	if (entries->count == entries->size) {
		size_t size = entries->size ? entries->size * 2 : 64;
		FileEntry **bigger = NULL;

		if (size <= OBJECTS_MAX)
			bigger = realloc(entries->items, size * sizeof(*bigger));
		if (!bigger) {
			file_entry__free_unpacked(entry, NULL);
			return log_ret(-ENOMEM, "files.img: %zu objects", entries->count);
		}
		entries->items = bigger;
		entries->size = size;
	}
	entries->items[entries->count++] = entry;
	return 0;
}

static int compare_entries(const void *left, const void *right)
{
	const FileEntry *a = *(FileEntry *const *)left, *b = *(FileEntry *const *)right;

	return a->id < b->id ? -1 : a->id > b->id;
}

static int read_entries(struct image *img, struct entries *entries)
{
	ProtobufCMessage *msg;
	int ret;

	while ((ret = image_read(img, &file_entry__descriptor, &msg)) == 1) {
		ret = entries_append(entries, (FileEntry *)msg);
		if (ret)
			return ret;
	}
	return ret;
}

/* Which member of the union an entry of a type has (images/fdinfo.proto). */
static const struct {
	FdTypes type;
	size_t offset;
} members[] = {
	{ FD_TYPES__REG, offsetof(FileEntry, reg) },
	{ FD_TYPES__PIPE, offsetof(FileEntry, pipe) },
	{ FD_TYPES__FIFO, offsetof(FileEntry, fifo) },
	{ FD_TYPES__INETSK, offsetof(FileEntry, isk) },
	{ FD_TYPES__UNIXSK, offsetof(FileEntry, usk) },
	{ FD_TYPES__EVENTFD, offsetof(FileEntry, efd) },
	{ FD_TYPES__EVENTPOLL, offsetof(FileEntry, epfd) },
	{ FD_TYPES__INOTIFY, offsetof(FileEntry, ify) },
	{ FD_TYPES__SIGNALFD, offsetof(FileEntry, sgfd) },
	{ FD_TYPES__PACKETSK, offsetof(FileEntry, psk) },
	{ FD_TYPES__TTY, offsetof(FileEntry, tty) },
	{ FD_TYPES__FANOTIFY, offsetof(FileEntry, ffy) },
	{ FD_TYPES__NETLINKSK, offsetof(FileEntry, nlsk) },
	{ FD_TYPES__NS, offsetof(FileEntry, nsf) },
	{ FD_TYPES__TUNF, offsetof(FileEntry, tunf) },
	{ FD_TYPES__EXT, offsetof(FileEntry, ext) },
	{ FD_TYPES__TIMERFD, offsetof(FileEntry, tfd) },
	{ FD_TYPES__MEMFD, offsetof(FileEntry, memfd) },
	{ FD_TYPES__BPFMAP, offsetof(FileEntry, bpf) },
	{ FD_TYPES__PIDFD, offsetof(FileEntry, pidfd) },
};

static bool has_member(const FileEntry *entry)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (members[i].type == entry->type)
			return *(void *const *)((const char *)entry + members[i].offset);
	}
	return false;
}

static const char *type_name(FdTypes type)
{
	const ProtobufCEnumValue *value =
		protobuf_c_enum_descriptor_get_value(&fd_types__descriptor, (int)type);

	return value ? value->name : "unknown";
}

static int add_node(const struct image *img, struct file_table *table, FileEntry *entry)
{
	struct file_node *node = &table->nodes[table->nr_nodes];

	if (table->nr_nodes && node[-1].object.id == entry->id)
		return image_bad(img, "file %u is there twice", entry->id);
	node->object.id = entry->id;
	node->object.ops = kind_by_type(entry->type);
	node->object.entry = entry;
	node->object.master = -1;
	node->index = table->nr_nodes++;
	if (!node->object.ops)
		return log_ret(-EOPNOTSUPP, "file %u: type %s (%d) cannot be restored", entry->id,
			       type_name(entry->type), (int)entry->type);
	if (!entry->id || !has_member(entry))
		return image_bad(img, "file %u of type %s has no content", entry->id,
				 type_name(entry->type));
	return 0;
}

int file_table_read_objects(struct restore *restore)
{
	__attribute__((cleanup(entries_fini))) struct entries entries = { 0 };
	struct file_table *table = restore->files;
	scoped_image struct image *img = NULL;
	int result = 0, ret;

	ret = image_open(restore->images, IMG_FILES, 0, &img);
	if (ret)
		return ret == -ENOENT ? log_ret(ret, "files.img") : ret;
	ret = read_entries(img, &entries);
	if (ret)
		return ret;
	table->nodes = calloc(entries.count + 1, sizeof(*table->nodes));
	table->order = calloc(entries.count + 1, sizeof(*table->order));
	if (!table->nodes || !table->order)
		return log_ret(-ENOMEM, "files.img: %zu objects", entries.count);
	if (entries.count)
		qsort(entries.items, entries.count, sizeof(*entries.items), compare_entries);
	for (size_t i = 0; i < entries.count; i++) {
		ret = add_node(img, table, entries.items[i]);
		if (table->nr_nodes &&
		    table->nodes[table->nr_nodes - 1].object.entry == entries.items[i])
			entries.items[i] = NULL; /* owned by the node now */
		if (ret == -EOPNOTSUPP)
			result = ret; /* go on: all of them are told */
		else if (ret)
			return ret;
	}
	return result;
}

struct file_object *file_table_find(struct file_table *table, uint32_t id)
{
	size_t at = bisect(table->nr_nodes, i, table->nodes[i].object.id >= id);

	if (at == table->nr_nodes || table->nodes[at].object.id != id)
		return NULL;
	return &table->nodes[at].object;
}

struct file_object *file_table_next(struct file_table *table, struct file_object *object)
{
	size_t next = object ? file_node(object)->index + 1 : 0;

	return next < table->nr_nodes ? &table->nodes[next].object : NULL;
}

bool file_object_is_held(const struct file_object *object)
{
	return ((const struct file_node *)object)->uses > 0;
}

void **file_table_priv(struct file_table *table, const struct kind_ops *ops)
{
	for (size_t i = 0; i < KINDS_MAX && kind_at(i); i++) {
		if (kind_at(i) == ops)
			return &table->priv[i];
	}
	abort(); /* a kind without a row */
}

/* ---- descriptors ------------------------------------------------------------------------ */

static int compare_slots(const void *left, const void *right)
{
	const struct fd_slot *a = left, *b = right;

	return a->number < b->number ? -1 : a->number > b->number;
}

static int add_slot(struct restore *restore, const struct image *img, const FdinfoEntry *entry,
		    struct fd_table *fds, size_t *size)
{
	struct file_object *object = file_table_find(restore->files, entry->id);
	struct fd_slot *bigger;

	if (!object)
		return image_bad(img, "fd %u: file %u is not in files.img", entry->fd, entry->id);
	if (object->entry->type != entry->type)
		return image_bad(img, "fd %u: file %u is of type %d, not %d", entry->fd, entry->id,
				 (int)object->entry->type, (int)entry->type);
	if (entry->fd > NUMBER_MAX)
		return image_bad(img, "fd %u: the number is absurd", entry->fd);
	if (fds->nr_slots == *size) {
		*size = *size ? *size * 2 : 16;
		bigger = realloc(fds->slots, *size * sizeof(*bigger));
		if (!bigger)
			return log_ret(-ENOMEM, "image %s", image_name(img));
		fds->slots = bigger;
	}
	fds->slots[fds->nr_slots++] = (struct fd_slot){
		.number = (int)entry->fd,
		.cloexec = entry->flags & 1 /* FD_CLOEXEC */,
		.node = file_node(object),
	};
	return 0;
}

static int check_slots(const struct image *img, const struct fd_table *fds)
{
	for (size_t i = 1; i < fds->nr_slots; i++) {
		if (fds->slots[i].number == fds->slots[i - 1].number)
			return image_bad(img, "fd %d is there twice", fds->slots[i].number);
	}
	return 0;
}

static int read_fdinfo(struct restore *restore, struct fd_table *fds)
{
	scoped_image struct image *img = NULL;
	ProtobufCMessage *msg;
	size_t size = 0;
	int ret;

	ret = image_open(restore->images, IMG_FDINFO, fds->id, &img);
	if (ret)
		return ret == -ENOENT ? log_ret(ret, "fdinfo-%u.img", fds->id) : ret;
	while ((ret = image_read(img, &fdinfo_entry__descriptor, &msg)) == 1) {
		ret = add_slot(restore, img, (FdinfoEntry *)msg, fds, &size);
		image_msg_free(msg);
		if (ret)
			return ret;
	}
	if (ret)
		return ret;
	if (fds->nr_slots)
		qsort(fds->slots, fds->nr_slots, sizeof(*fds->slots), compare_slots);
	return check_slots(img, fds);
}

static int read_files_id(struct restore *restore, const struct task *task, uint32_t *id)
{
	ProtobufCMessage *msg;
	int ret = image_read_one(restore->images, IMG_IDS, (uint64_t)task->pid,
				 &task_kobj_ids_entry__descriptor, &msg);

	if (ret)
		return ret == -ENOENT ? log_ret(ret, "ids-%d.img", task->pid) : ret;
	*id = ((TaskKobjIdsEntry *)msg)->files_id;
	image_msg_free(msg);
	return 0;
}

static int compare_users(const void *left, const void *right)
{
	const struct table_user *a = left, *b = right;

	return a->task->pid < b->task->pid ? -1 : a->task->pid > b->task->pid;
}

struct fd_table *file_table_of(const struct file_table *table, const struct task *task)
{
	struct table_user key = { .task = task };
	struct table_user *found = NULL;

	if (table->nr_users)
		found = bsearch(&key, table->users, table->nr_users, sizeof(key), compare_users);
	return found ? &table->tables[found->table] : NULL;
}

/* Tables are few more than tasks; shared ones are found by going back. */
static int add_user(struct restore *restore, const struct task *task)
{
	struct file_table *table = restore->files;
	uint32_t id = 0;
	size_t i;
	int ret = read_files_id(restore, task, &id);

	if (ret)
		return ret;
	for (i = 0; i < table->nr_tables && table->tables[i].id != id; i++)
		;
	table->users[table->nr_users++] = (struct table_user){ .task = task, .table = i };
	table->tables[i].nr_users++;
	if (i < table->nr_tables)
		return 0;
	table->tables[i].id = id;
	table->tables[i].holder = task;
	table->nr_tables++;
	return read_fdinfo(restore, &table->tables[i]);
}

static void note_first_holders(struct file_table *table)
{
	for (size_t i = 0; i < table->nr_tables; i++) {
		struct fd_table *fds = &table->tables[i];

		for (size_t j = 0; j < fds->nr_slots; j++) {
			struct file_node *node = fds->slots[j].node;

			node->uses++;
			if (!node->first ||
			    (node->first != fds && fds->holder->pid < node->first->holder->pid)) {
				node->first = fds;
				node->first_number = fds->slots[j].number;
			}
		}
	}
}

int file_table_read_descriptors(struct restore *restore)
{
	struct file_table *table = restore->files;
	const struct task *task;
	size_t count = 0;
	int ret;

	tree_for_each (task, &restore->tree)
		count++;
	table->users = calloc(count + 1, sizeof(*table->users));
	table->tables = calloc(count + 1, sizeof(*table->tables));
	if (!table->users || !table->tables)
		return log_ret(-ENOMEM, "descriptors of %zu tasks", count);
	tree_for_each (task, &restore->tree) {
		if (task->state == TASK_DEAD)
			continue;
		ret = add_user(restore, task);
		if (ret)
			return ret;
	}
	if (table->nr_users)
		qsort(table->users, table->nr_users, sizeof(*table->users), compare_users);
	note_first_holders(table);
	return 0;
}

/* ---- end ----------------------------------------------------------------------------------- */

void file_table_free(struct restore *restore)
{
	struct file_table *table = restore->files;

	if (!table)
		return;
	for (size_t i = 0; i < KINDS_MAX && kind_at(i); i++) {
		if (table->is_planned[i] && kind_at(i)->fini)
			kind_at(i)->fini(restore);
	}
	for (size_t i = 0; i < table->nr_nodes; i++) {
		struct file_object *object = &table->nodes[i].object;

		if (object->ops && object->ops->free)
			object->ops->free(object);
		file_entry__free_unpacked(object->entry, NULL);
	}
	for (size_t i = 0; i < table->nr_tables; i++) {
		free(table->tables[i].slots);
		if (table->tables[i].share)
			munmap(table->tables[i].share, sizeof(*table->tables[i].share));
	}
	if (table->late)
		munmap(table->late, table->nr_nodes * sizeof(*table->late));
	free(table->nodes);
	free(table->order);
	free(table->needs);
	free(table->tables);
	free(table->users);
	free(table);
	restore->files = NULL;
}
