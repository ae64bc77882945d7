// SPDX-License-Identifier: GPL-2.0
/*
 * memfd_create(2): an inode without a path (memfd.img) and the descriptions open on it, mappings
 * included. Content goes the way of shared memory (pagemap-shmem-SHMID.img). On restore the inode
 * is made with the first object that needs it, filled, and only then sealed.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kinds/families.h"
#include "kinds/fown.h"
#include "kinds/own_fd.h"
#include "mem/mem.h"
#include "memfd.pb-c.h"
#include "util/log.h"
#include "util/scope.h"

#define LINK_PREFIX "/memfd:"
#define LINK_SUFFIX " (deleted)"

enum {
	HUGE_SHIFT = 26, /* MFD_HUGE_SHIFT */
	DEFAULT_MODE = 0777,
	KNOWN_SEALS = 0x3f, /* up to F_SEAL_EXEC, Linux 6.3 */
	NAME_MAX_LEN = 249, /* of memfd_create(2) */
	INODES_MAX = 1 << 20,
	/* What open(2) may be given again; O_CREAT and the like are no state. */
	OPEN_FLAGS = O_ACCMODE | O_APPEND | O_NONBLOCK | O_NOATIME | O_DSYNC | O_SYNC | O_LARGEFILE,
};

struct inode {
	MemfdInodeEntry *entry;
	int fd;	       /* in the root task and its children; -1 before */
	bool is_given; /* the description of memfd_create(2) belongs to an object */
};

struct inodes {
	struct inode *items;
	size_t count;
};

/* Anonymous shared memory that somebody opened through map_files: the same without a name. */
static bool is_shared_memory(const struct fd_probe *probe)
{
	return !major(probe->st.st_dev) && !strcmp(probe->link, "/dev/zero" LINK_SUFFIX);
}

static bool memfd_detect(const struct fd_probe *probe)
{
	return S_ISREG(probe->st.st_mode) && !(probe->flags & O_PATH) &&
	       (!strncmp(probe->link, LINK_PREFIX, strlen(LINK_PREFIX)) || is_shared_memory(probe));
}

/* ---- dump ---------------------------------------------------------------- */

static int copy_name(const char *link, char **out)
{
	bool is_named = !strncmp(link, LINK_PREFIX, strlen(LINK_PREFIX));
	const char *name = is_named ? link + strlen(LINK_PREFIX) : link;
	size_t len = strlen(name), suffix = strlen(LINK_SUFFIX);

	if (len >= suffix && !strcmp(name + len - suffix, LINK_SUFFIX))
		len -= suffix;
	*out = strndup(name, len);
	return *out ? 0 : -ENOMEM;
}

/* Seals and page size are not told of an O_PATH descriptor. */
static int ask_inode(const struct fd_probe *probe, MemfdInodeEntry *inode)
{
	scoped_fd int fd = open(own_fd_path(probe->fd).text, O_RDONLY | O_CLOEXEC);
	struct statfs fs;
	int seals;

	if (fd < 0 || fstatfs(fd, &fs))
		return -errno;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return -errno;
	inode->seals = seals;
	if (fs.f_type == HUGETLBFS_MAGIC) {
		inode->has_hugetlb_flag = true;
		inode->hugetlb_flag = MFD_HUGETLB | (uint32_t)__builtin_ctzll(fs.f_bsize)
							    << HUGE_SHIFT;
	}
	return 0;
}

static int write_inode(struct dump *dump, const struct fd_probe *probe, uint32_t id)
{
	MemfdInodeEntry inode = MEMFD_INODE_ENTRY__INIT;
	scoped_free char *name = NULL;
	struct image *img;
	int ret = copy_name(probe->link, &name) ?: ask_inode(probe, &inode);

	if (ret)
		return log_ret(ret, "task %d: fd %d: %s", probe->task->pid, probe->number,
			       probe->link);
	inode.name = name;
	inode.inode_id = id;
	inode.uid = probe->st.st_uid;
	inode.gid = probe->st.st_gid;
	inode.size = probe->st.st_size;
	inode.has_mode = true;
	inode.mode = probe->st.st_mode; /* with the file type */
	ret = mem_dump_segment(dump, probe->fd, &inode.shmid);
	ret = ret ?: files_dump_image(dump, IMG_MEMFD_INODE, &img);
	return ret ?: image_write(img, &inode.base);
}

static int inode_id(struct dump *dump, const struct fd_probe *probe, uint32_t *id)
{
	uint32_t *slot = files_dump_slot(dump, &memfd_kind, probe->st.st_dev, probe->st.st_ino);
	uint32_t *last = files_dump_slot(dump, &memfd_kind, 0, 0);

	if (!slot || !last)
		return -ENOMEM;
	if (!*slot) {
		int ret = write_inode(dump, probe, *last + 1);

		if (ret)
			return ret;
		*slot = ++*last;
	}
	*id = *slot;
	return 0;
}

static int memfd_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	MemfdFileEntry *memfd = message_new(MemfdFileEntry, memfd_file_entry);
	int ret;

	if (!memfd)
		return -ENOMEM;
	entry->memfd = memfd;
	memfd->id = entry->id;
	memfd->flags = probe->flags;
	memfd->pos = probe->pos;
	ret = fown_dump(dump, probe, &memfd->fown);
	return ret ?: inode_id(dump, probe, &memfd->inode_id);
}

/* ---- plan ---------------------------------------------------------------- */

static struct inodes *inodes_of(struct restore *restore)
{
	return *file_table_priv(restore->files, &memfd_kind);
}

static int check_inode(const struct image *img, const MemfdInodeEntry *entry)
{
	uint32_t huge = entry->hugetlb_flag;

	if (strlen(entry->name) > NAME_MAX_LEN || entry->size > INT64_MAX)
		return image_bad(img, "memfd with a name of %zu bytes and %lu bytes of content",
				 strlen(entry->name), entry->size);
	if ((entry->seals & ~KNOWN_SEALS) || (entry->mode & ~(S_IFMT | 07777)))
		return image_bad(img, "memfd with seals %#x and mode %#o", entry->seals,
				 entry->mode);
	if (huge & ~(MFD_HUGETLB | 0x3fu << HUGE_SHIFT))
		return image_bad(img, "memfd with huge page flags %#x", huge);
	return 0;
}

static int add_inode(struct inodes *inodes, MemfdInodeEntry *entry)
{
	struct inode *items;

	if (inodes->count == INODES_MAX)
		return -E2BIG;
	items = realloc(inodes->items, (inodes->count + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	inodes->items = items;
	items[inodes->count++] = (struct inode){ .entry = entry, .fd = -1 };
	return 0;
}

static int memfd_plan(struct restore *restore)
{
	scoped_image struct image *img = NULL;
	struct inodes *inodes = calloc(1, sizeof(*inodes));
	ProtobufCMessage *msg;
	int ret;

	if (!inodes)
		return -ENOMEM;
	*file_table_priv(restore->files, &memfd_kind) = inodes;
	ret = image_open(restore->images, IMG_MEMFD_INODE, 0, &img);
	if (ret)
		return log_ret(ret, "memfd: read memfd.img");
	while ((ret = image_read(img, &memfd_inode_entry__descriptor, &msg)) > 0) {
		MemfdInodeEntry *entry = (MemfdInodeEntry *)msg;

		ret = check_inode(img, entry) ?: add_inode(inodes, entry);
		if (ret) {
			image_msg_free(msg);
			return ret;
		}
	}
	return ret;
}

static struct inode *find_inode(struct restore *restore, uint64_t id)
{
	const struct inodes *inodes = inodes_of(restore);

	for (size_t i = 0; i < inodes->count; i++) {
		if (inodes->items[i].entry->inode_id == id)
			return &inodes->items[i];
	}
	return NULL;
}

static int memfd_collect(struct restore *restore, struct file_object *object)
{
	uint32_t id = object->entry->memfd->inode_id;

	if (!find_inode(restore, id))
		return log_ret(-EBADMSG, "memfd %#x: inode %u is not in memfd.img", object->id, id);
	return 0;
}

/* ---- open ---------------------------------------------------------------- */

/* Without MFD_ALLOW_SEALING a memfd is born with F_SEAL_SEAL. */
static int create(const MemfdInodeEntry *entry)
{
	unsigned int flags = MFD_CLOEXEC | entry->hugetlb_flag;

	if (entry->seals != F_SEAL_SEAL)
		flags |= MFD_ALLOW_SEALING;
	return memfd_create(entry->name, flags);
}

static int set_attributes(const MemfdInodeEntry *entry, int fd)
{
	if (entry->has_mode && (entry->mode & 07777) != DEFAULT_MODE &&
	    fchmod(fd, entry->mode & 07777))
		return -errno;
	if ((entry->uid != geteuid() || entry->gid != getegid()) &&
	    fchown(fd, entry->uid, entry->gid))
		return -errno;
	return ftruncate(fd, entry->size) ? -errno : 0;
}

static int make_inode(const struct restore *restore, struct inode *inode)
{
	const MemfdInodeEntry *entry = inode->entry;
	scoped_fd int fd = create(entry);
	int ret;

	if (fd < 0)
		return log_errno("memfd %s: create (flags %#x)", entry->name, entry->hugetlb_flag);
	ret = set_attributes(entry, fd);
	if (ret)
		return log_ret(ret, "memfd %s: set size %lu, mode and owner", entry->name,
			       entry->size);
	ret = shmem_fill(restore, entry->shmid, fd);
	if (ret)
		return ret;
	if (entry->seals && entry->seals != F_SEAL_SEAL && fcntl(fd, F_ADD_SEALS, entry->seals))
		return log_errno("memfd %s: add seals %#x", entry->name, entry->seals);
	inode->fd = take_fd(&fd);
	return 0;
}

/*
 * The description that memfd_create(2) made is no writer to the kernel (the file can be executed
 * while it is open); one from open(2) is. So the first that was open for both gets the original.
 */
static int open_inode(struct inode *inode, uint32_t flags)
{
	if (inode->is_given || (flags & O_ACCMODE) != O_RDWR)
		return open(own_fd_path(inode->fd).text, (flags & OPEN_FLAGS) | O_CLOEXEC);
	inode->is_given = true;
	return fcntl(inode->fd, F_DUPFD_CLOEXEC, 0);
}

static int memfd_open(struct restore *restore, struct file_object *object, int *fd)
{
	const MemfdFileEntry *memfd = object->entry->memfd;
	struct inode *inode = find_inode(restore, memfd->inode_id);
	int ret = inode->fd < 0 ? make_inode(restore, inode) : 0;

	if (ret)
		return ret;
	scoped_fd int file = open_inode(inode, memfd->flags);
	if (file < 0)
		return log_errno("memfd %#x: open %s with flags %#x", object->id,
				 inode->entry->name, memfd->flags);
	if (own_fd_set_flags(file, memfd->flags))
		return log_errno("memfd %#x: set flags %#x", object->id, memfd->flags);
	if (lseek(file, memfd->pos, SEEK_SET) < 0)
		return log_errno("memfd %#x: seek to %lu", object->id, memfd->pos);
	*fd = take_fd(&file);
	return 0;
}

static const FownEntry *memfd_fown(const struct file_object *object)
{
	return object->entry->memfd->fown;
}

static void memfd_fini(struct restore *restore)
{
	struct inodes *inodes = inodes_of(restore);

	if (!inodes)
		return;
	for (size_t i = 0; i < inodes->count; i++)
		memfd_inode_entry__free_unpacked(inodes->items[i].entry, NULL);
	free(inodes->items);
	free(inodes);
}

const struct kind_ops memfd_kind = {
	.name = "memfd",
	.type = FD_TYPES__MEMFD,
	.detect = memfd_detect,
	.dump = memfd_dump,
	.plan = memfd_plan,
	.collect = memfd_collect,
	.fown = memfd_fown,
	.open = memfd_open,
	.fini = memfd_fini,
};
