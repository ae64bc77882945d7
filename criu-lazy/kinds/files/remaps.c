// SPDX-License-Identifier: GPL-2.0
/*
 * Restore of files whose path does not lead to them.
 *
 * A ghost is made once, by the root task, under a name of its own in the directory where it was
 * (missing directories are made too). Whoever opens it links it for the moment at its old name, if
 * that is free, so that the kernel shows the right path. At the end the restorer removes
 * the names. What has been made is noted in memory that all processes of the restore share,
 * with device and inode: nothing else is ever unlinked.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kinds/files/ghost.h"
#include "kinds/files/regular.h"
#include "util/log.h"
#include "util/scope.h"

enum { REMAPS_MAX = 1 << 20, OPEN_TRIES = 1000 };

struct remap {
	uint32_t orig_id;
	const char *name;    /* of the object, borrowed */
	struct ghost *ghost; /* or */
	uint32_t linked_id;
	char *linked;	  /* path of the link */
	bool *is_at_name; /* shared: it is linked at its old name just now */
};

struct remaps {
	struct remap *items; /* by orig_id */
	bool *is_at_name;    /* shared by all processes, one per item */
	size_t count;
	uint32_t *dead_pids;
	size_t nr_dead_pids;
	struct ghosts *ghosts;
};

static int compare_remaps(const void *left, const void *right)
{
	const struct remap *a = left, *b = right;

	return a->orig_id < b->orig_id ? -1 : a->orig_id > b->orig_id;
}

struct remap *remap_find(struct remaps *remaps, uint32_t id)
{
	struct remap key = { .orig_id = id };

	if (!remaps || !remaps->count)
		return NULL;
	return bsearch(&key, remaps->items, remaps->count, sizeof(key), compare_remaps);
}

static const RegFileEntry *reg_of(struct restore *restore, uint32_t id)
{
	struct file_object *object = file_table_find(restore->files, id);

	return object && object->entry->reg ? object->entry->reg : NULL;
}

static int plan_linked(struct restore *restore, const struct image *img, struct remap *remap)
{
	const RegFileEntry *link = reg_of(restore, remap->linked_id);

	if (!link || link->name[0] != '/')
		return image_bad(img, "file %u is remapped to %u, which is no file with a path",
				 remap->orig_id, remap->linked_id);
	remap->linked = strdup(link->name);
	return remap->linked ? 0 : log_ret(-ENOMEM, "%s", link->name);
}

static int plan_dead_pid(struct remaps *remaps, const struct image *img, const char *name,
			 uint32_t pid)
{
	uint32_t *bigger;

	if (!pid || pid > INT_MAX || regular_proc_pid(name) != (pid_t)pid)
		return image_bad(img, "%s is said to belong to process %u", name, pid);
	bigger = realloc(remaps->dead_pids, (remaps->nr_dead_pids + 1) * sizeof(*bigger));
	if (!bigger)
		return log_ret(-ENOMEM, "remap-fpath.img");
	remaps->dead_pids = bigger;
	remaps->dead_pids[remaps->nr_dead_pids++] = pid;
	return 0;
}

bool remaps_have_dead_pid(const struct remaps *remaps, pid_t pid)
{
	for (size_t i = 0; remaps && pid && i < remaps->nr_dead_pids; i++) {
		if (remaps->dead_pids[i] == (uint32_t)pid)
			return true;
	}
	return false;
}

static int plan_one(struct restore *restore, struct remaps *remaps, const struct image *img,
		    const RemapFilePathEntry *entry, struct remap *remap)
{
	const RegFileEntry *orig = reg_of(restore, entry->orig_id);
	RemapType type = entry->has_remap_type ? entry->remap_type : REMAP_TYPE__LINKED;

	remap->orig_id = entry->orig_id;
	remap->name = orig ? orig->name : NULL;
	if (!orig || orig->name[0] != '/')
		return image_bad(img, "file %u is remapped but has no path", entry->orig_id);
	switch (type) {
	case REMAP_TYPE__GHOST:
		return ghosts_plan(restore, remaps->ghosts, entry->remap_id, orig->name,
				   &remap->ghost);
	case REMAP_TYPE__LINKED:
		remap->linked_id = entry->remap_id;
		return plan_linked(restore, img, remap);
	case REMAP_TYPE__PROCFS:
		return plan_dead_pid(remaps, img, orig->name, entry->remap_id);
	default:
		return image_bad(img, "file %u: remap of type %d", entry->orig_id, (int)type);
	}
}

static int grow(struct remaps *remaps, size_t *size)
{
	struct remap *bigger;

	if (remaps->count < *size)
		return 0;
	if (remaps->count >= REMAPS_MAX)
		return log_ret(-E2BIG, "remap-fpath.img: too many entries");
	bigger = realloc(remaps->items, (*size + 32) * 2 * sizeof(*bigger));
	if (!bigger)
		return log_ret(-ENOMEM, "remap-fpath.img");
	remaps->items = bigger;
	*size = (*size + 32) * 2;
	return 0;
}

static int read_all(struct restore *restore, struct image *img, struct remaps *remaps)
{
	ProtobufCMessage *msg;
	size_t size = 0;
	int ret;

	while ((ret = image_read(img, &remap_file_path_entry__descriptor, &msg)) == 1) {
		ret = grow(remaps, &size);
		if (!ret) {
			struct remap *remap = &remaps->items[remaps->count++];

			*remap = (struct remap){ 0 };
			ret = plan_one(restore, remaps, img, (RemapFilePathEntry *)msg, remap);
		}
		image_msg_free(msg);
		if (ret)
			return ret;
	}
	return ret;
}

static int check_twice(const struct remaps *remaps)
{
	for (size_t i = 1; i < remaps->count; i++) {
		if (remaps->items[i].orig_id == remaps->items[i - 1].orig_id)
			return log_ret(-EBADMSG, "remap-fpath.img: file %u is remapped twice",
				       remaps->items[i].orig_id);
	}
	return 0;
}

static int share_states(struct remaps *remaps)
{
	void *shared;

	if (!remaps->count)
		return 0;
	shared = mmap(NULL, remaps->count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return log_errno("remapped files: shared memory");
	remaps->is_at_name = shared;
	for (size_t i = 0; i < remaps->count; i++)
		remaps->items[i].is_at_name = &remaps->is_at_name[i];
	return 0;
}

static void free_remaps(struct remaps *const *remaps)
{
	remaps_free(*remaps);
}

int remaps_plan(struct restore *restore, struct remaps **out)
{
	__attribute__((cleanup(free_remaps))) struct remaps *remaps = calloc(1, sizeof(*remaps));
	scoped_image struct image *img = NULL;
	int ret;

	if (!remaps)
		return log_ret(-ENOMEM, "remap-fpath.img");
	ret = ghosts_new(&remaps->ghosts);
	if (!ret)
		ret = image_open(restore->images, IMG_REMAP_FPATH, 0, &img);
	if (ret && ret != -ENOENT)
		return ret;
	if (!ret)
		ret = read_all(restore, img, remaps);
	else
		ret = 0;
	if (!ret && remaps->count)
		qsort(remaps->items, remaps->count, sizeof(*remaps->items), compare_remaps);
	if (!ret)
		ret = check_twice(remaps);
	if (!ret)
		ret = share_states(remaps);
	if (!ret)
		ret = ghosts_plan_end(remaps->ghosts);
	if (!ret)
		*out = take_ptr(remaps);
	return ret;
}

void remaps_free(struct remaps *remaps)
{
	if (!remaps)
		return;
	for (size_t i = 0; i < remaps->count; i++)
		free(remaps->items[i].linked);
	ghosts_free(remaps->ghosts);
	if (remaps->is_at_name)
		munmap(remaps->is_at_name, remaps->count);
	free(remaps->dead_pids);
	free(remaps->items);
	free(remaps);
}

int remaps_make(struct restore *restore, struct remaps *remaps)
{
	return ghosts_make(restore, remaps->ghosts);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static const char *path_of(const struct remap *remap)
{
	return remap->ghost ? ghost_path(remap->ghost) : remap->linked;
}

/* A process that was killed between link and unlink in open_at_name() has left the old name. */
static void remove_name(const struct remap *remap)
{
	const char *path = path_of(remap);
	struct stat kept, left;

	if (!*remap->is_at_name || lstat(path, &kept) || lstat(remap->name, &left) ||
	    !is_same_file(&kept, &left))
		return;
	if (unlink(remap->name))
		log_warn("unlink %s: %s", remap->name, strerror(errno));
}

void remaps_finish(struct remaps *remaps, bool failed)
{
	for (size_t i = 0; failed && remaps->is_at_name && i < remaps->count; i++)
		remove_name(&remaps->items[i]);
	ghosts_remove(remaps->ghosts);
	if (failed)
		return;
	for (size_t i = 0; i < remaps->count; i++) {
		const char *linked = remaps->items[i].linked;

		if (linked && unlink(linked) && errno != ENOENT)
			log_warn("unlink %s: %s", linked, strerror(errno));
	}
}

/*
 * One try at the old name. -EEXIST: somebody else's file is there. -EAGAIN: another process of
 * ours has just linked or unlinked it.
 */
static int open_at_name(const struct remap *remap, const char *path, const struct stat *st,
			const char *name, int flags, int *out)
{
	bool is_mine = !linkat(AT_FDCWD, path, AT_FDCWD, name, 0);
	scoped_fd int fd = -1;
	struct stat found;
	int ret = 0;

	if (!is_mine && errno != EEXIST)
		return -errno;
	if (is_mine)
		*remap->is_at_name = true;
	/* Never open what is not ours: it may be a device or a FIFO. */
	if (!is_mine && lstat(name, &found))
		return errno == ENOENT ? -EAGAIN : -errno;
	if (!is_mine && !is_same_file(&found, st))
		return -EEXIST;
	fd = open(name, flags);
	if (fd < 0)
		ret = -errno;
	if (is_mine && unlink(name))
		log_warn("unlink %s: %s", name, strerror(errno));
	if (is_mine)
		*remap->is_at_name = false;
	if (ret)
		return is_mine || ret != -ENOENT ? ret : -EAGAIN;
	if (fstat(fd, &found))
		return -errno;
	if (!is_same_file(&found, st))
		return -EEXIST;
	*out = take_fd(&fd);
	return 0;
}

int remap_open(struct remap *remap, const char *name, int flags, int *fd)
{
	const char *path = path_of(remap);
	struct stat st;
	int ret = -EAGAIN;

	if (lstat(path, &st))
		return log_errno("file %u: %s", remap->orig_id, path);
	if (S_ISDIR(st.st_mode) || !strcmp(path, name))
		ret = -EEXIST;
	for (int i = 0; ret == -EAGAIN && i < OPEN_TRIES; i++)
		ret = open_at_name(remap, path, &st, name, flags, fd);
	if (!ret)
		return 0;
	*fd = open(path, flags);
	if (*fd < 0)
		return log_errno("file %u: open %s (was %s)", remap->orig_id, path, name);
	return 0;
}
