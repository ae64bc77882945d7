// SPDX-License-Identifier: GPL-2.0
/*
 * Places: what has to exist for a moment, parents before children (in order of path): missing
 * directories and the ghosts themselves. Their states are in shared memory: made by the root
 * task, removed by the restorer.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ghost-file.pb-c.h"
#include "kinds/files/ghost.h"
#include "util/log.h"
#include "util/scope.h"

enum { COPY_BYTES = 256 * 1024, GHOSTS_MAX = 1 << 20 };

struct ghost {
	uint32_t id;
	const char *name; /* where it was, borrowed from its object */
	char *path;	  /* where it is put */
	GhostFileEntry *entry;
};

struct place_state { /* shared between processes */
	uint64_t dev, ino;
	uint32_t is_made;
};

struct place {
	char *path;
	const struct ghost *ghost; /* NULL: a directory that is missing */
};

struct ghosts {
	struct ghost **items;
	size_t count;
	struct place *places;
	size_t nr_places;
	struct place_state *states; /* one per place */
};

int ghosts_new(struct ghosts **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : log_ret(-ENOMEM, "ghost files");
}

const char *ghost_path(const struct ghost *ghost)
{
	return ghost->path;
}

static void ghost_free(struct ghost *ghost)
{
	if (ghost->entry)
		ghost_file_entry__free_unpacked(ghost->entry, NULL);
	free(ghost->path);
	free(ghost);
}

void ghosts_free(struct ghosts *ghosts)
{
	if (!ghosts)
		return;
	for (size_t i = 0; i < ghosts->count; i++)
		ghost_free(ghosts->items[i]);
	for (size_t i = 0; i < ghosts->nr_places; i++)
		free(ghosts->places[i].path);
	if (ghosts->states)
		munmap(ghosts->states, ghosts->nr_places * sizeof(*ghosts->states));
	free(ghosts->items);
	free(ghosts->places);
	free(ghosts);
}

/* ---- plan -------------------------------------------------------------------------- */

static int read_head(struct restore *restore, uint32_t id, struct image **img, GhostFileEntry **out)
{
	ProtobufCMessage *msg;
	int ret = image_open(restore->images, IMG_GHOST_FILE, id, img);

	if (ret)
		return ret == -ENOENT ? log_ret(ret, "ghost-file-%x.img", id) : ret;
	ret = image_read(*img, &ghost_file_entry__descriptor, &msg);
	if (ret != 1)
		return ret ? ret : image_bad(*img, "it is empty");
	*out = (GhostFileEntry *)msg;
	return 0;
}

static int check_head(const struct image *img, const GhostFileEntry *entry)
{
	switch (entry->mode & S_IFMT) {
	case S_IFREG:
		if (entry->has_chunks && entry->chunks && !entry->has_size)
			return image_bad(img, "a file of chunks has no size");
		return 0;
	case S_IFDIR:
	case S_IFIFO:
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		return entry->has_rdev ? 0 : image_bad(img, "a device has no number");
	case S_IFLNK:
		return entry->symlnk_target ? 0 : image_bad(img, "a link has no target");
	default:
		return image_bad(img, "mode 0%o is of no kind of file", entry->mode);
	}
}

/*
 * A directory takes its own name if it can: it cannot be linked there later. Other restores, which
 * may have our pid in another namespace, put ghosts into the same directory.
 */
static int choose_path(struct ghost *ghost)
{
	size_t dir = (size_t)(strrchr(ghost->name, '/') - ghost->name);
	uint64_t token;
	struct stat st;
	int len;

	if (getrandom(&token, sizeof(token), 0) != sizeof(token))
		return log_errno("ghost %u: random bytes", ghost->id);

	if (S_ISDIR(ghost->entry->mode) && lstat(ghost->name, &st) && errno == ENOENT)
		len = asprintf(&ghost->path, "%s", ghost->name);
	else
		len = asprintf(&ghost->path, "%.*s/cl-ghost.%" PRIx64 ".%x", (int)dir, ghost->name,
			       token, ghost->id);
	if (len < 0) {
		ghost->path = NULL;
		return log_ret(-ENOMEM, "ghost %u", ghost->id);
	}
	return 0;
}

static int append(struct ghosts *ghosts, struct ghost *ghost)
{
	struct ghost **bigger;

	if (ghosts->count >= GHOSTS_MAX)
		return log_ret(-E2BIG, "too many ghost files");
	bigger = realloc(ghosts->items, (ghosts->count + 1) * sizeof(*bigger));
	if (!bigger)
		return log_ret(-ENOMEM, "ghost %u", ghost->id);
	ghosts->items = bigger;
	ghosts->items[ghosts->count++] = ghost;
	return 0;
}

static struct ghost *find(const struct ghosts *ghosts, uint32_t id)
{
	/* The last one first: entries of one ghost follow each other. */
	for (size_t i = ghosts->count; i > 0; i--) {
		if (ghosts->items[i - 1]->id == id)
			return ghosts->items[i - 1];
	}
	return NULL;
}

int ghosts_plan(struct restore *restore, struct ghosts *ghosts, uint32_t id, const char *name,
		struct ghost **out)
{
	scoped_image struct image *img = NULL;
	struct ghost *ghost = find(ghosts, id);
	int ret;

	if (ghost) {
		*out = ghost;
		return 0;
	}
	ghost = calloc(1, sizeof(*ghost));
	if (!ghost)
		return log_ret(-ENOMEM, "ghost %u", id);
	ghost->id = id;
	ghost->name = name;
	ret = read_head(restore, id, &img, &ghost->entry);
	if (!ret)
		ret = check_head(img, ghost->entry);
	if (!ret)
		ret = choose_path(ghost);
	if (!ret)
		ret = append(ghosts, ghost);
	if (ret) {
		ghost_free(ghost);
		return ret;
	}
	*out = ghost;
	return 0;
}

static int compare_places(const void *left, const void *right)
{
	const struct place *a = left, *b = right;

	return strcmp(a->path, b->path);
}

static int add_place(struct ghosts *ghosts, char *path, const struct ghost *ghost)
{
	struct place *bigger = NULL;

	if (path)
		bigger = realloc(ghosts->places, (ghosts->nr_places + 1) * sizeof(*bigger));
	if (!bigger) {
		free(path);
		return log_ret(-ENOMEM, "ghost files");
	}
	ghosts->places = bigger;
	ghosts->places[ghosts->nr_places++] = (struct place){ .path = path, .ghost = ghost };
	return 0;
}

static bool has_place(const struct ghosts *ghosts, const char *path)
{
	for (size_t i = 0; i < ghosts->nr_places; i++) {
		if (!strcmp(ghosts->places[i].path, path))
			return true;
	}
	return false;
}

/* The directories above path that do not exist. */
static int add_parents(struct ghosts *ghosts, const char *path)
{
	scoped_free char *dir = strdup(path);
	struct stat st;
	int ret;

	if (!dir)
		return log_ret(-ENOMEM, "ghost files");
	for (char *slash = strrchr(dir, '/'); slash && slash != dir; slash = strrchr(dir, '/')) {
		*slash = '\0';
		if (has_place(ghosts, dir))
			continue;
		if (!lstat(dir, &st))
			return 0;
		if (errno != ENOENT)
			return log_errno("directory %s of a ghost file", dir);
		ret = add_place(ghosts, strdup(dir), NULL);
		if (ret)
			return ret;
	}
	return 0;
}

int ghosts_plan_end(struct ghosts *ghosts)
{
	void *shared;
	int ret = 0;

	for (size_t i = 0; !ret && i < ghosts->count; i++)
		ret = add_place(ghosts, strdup(ghosts->items[i]->path), ghosts->items[i]);
	for (size_t i = 0; !ret && i < ghosts->count; i++)
		ret = add_parents(ghosts, ghosts->items[i]->path);
	if (ret || !ghosts->nr_places)
		return ret;
	qsort(ghosts->places, ghosts->nr_places, sizeof(*ghosts->places), compare_places);
	for (size_t i = 1; i < ghosts->nr_places; i++) {
		if (!strcmp(ghosts->places[i].path, ghosts->places[i - 1].path))
			return log_ret(-EBADMSG, "two ghost files want to be %s",
				       ghosts->places[i].path);
	}
	shared = mmap(NULL, ghosts->nr_places * sizeof(*ghosts->states), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return log_errno("ghost files: shared memory");
	ghosts->states = shared;
	return 0;
}

/* ---- making, in the root task ---------------------------------------------------------- */

static int copy_to(struct image *img, int fd, uint64_t offset, uint64_t len)
{
	scoped_free char *buf = malloc(COPY_BYTES);

	if (!buf)
		return log_ret(-ENOMEM, "image %s", image_name(img));
	while (len) {
		size_t part = len < COPY_BYTES ? (size_t)len : COPY_BYTES;
		int ret = image_read_raw(img, buf, part);
		ssize_t put = ret ? 0 : pwrite(fd, buf, part, (off_t)offset);

		if (ret)
			return ret;
		if (put <= 0)
			return log_errno("image %s: write the ghost file", image_name(img));
		if ((size_t)put < part)
			return log_ret(-ENOSPC, "image %s: write the ghost file", image_name(img));
		offset += part;
		len -= part;
	}
	return 0;
}

static int copy_chunks(struct image *img, int fd, uint64_t size)
{
	ProtobufCMessage *msg;
	int ret;

	if (ftruncate(fd, (off_t)size))
		return log_errno("image %s: size %" PRIu64, image_name(img), size);
	while ((ret = image_read(img, &ghost_chunk_entry__descriptor, &msg)) == 1) {
		GhostChunkEntry chunk = *(GhostChunkEntry *)msg;

		image_msg_free(msg);
		if (chunk.off > size || chunk.len > size - chunk.off)
			return image_bad(img, "a chunk lies beyond the end of the file");
		ret = copy_to(img, fd, chunk.off, chunk.len);
		if (ret)
			return ret;
	}
	return ret;
}

static int make_regular(struct restore *restore, const struct ghost *ghost)
{
	scoped_image struct image *img = NULL;
	GhostFileEntry *again = NULL;
	scoped_fd int fd = -1;
	int ret;

	ret = read_head(restore, ghost->id, &img, &again);
	if (ret)
		return ret;
	ghost_file_entry__free_unpacked(again, NULL);
	fd = open(ghost->path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return log_errno("ghost %u: create %s", ghost->id, ghost->path);
	if (ghost->entry->has_chunks && ghost->entry->chunks)
		return copy_chunks(img, fd, ghost->entry->size);
	return copy_to(img, fd, 0, image_size(img) - image_offset(img));
}

static int make_node(struct restore *restore, const struct ghost *ghost)
{
	const GhostFileEntry *entry = ghost->entry;
	dev_t rdev = entry->has_rdev ? makedev(entry->rdev >> 20, entry->rdev & 0xfffff) : 0;
	int ret;

	switch (entry->mode & S_IFMT) {
	case S_IFREG:
		return make_regular(restore, ghost);
	case S_IFDIR:
		ret = mkdir(ghost->path, 0700);
		break;
	case S_IFLNK:
		ret = symlink(entry->symlnk_target, ghost->path);
		break;
	default:
		ret = mknod(ghost->path, (entry->mode & S_IFMT) | 0600, rdev);
	}
	return ret ? log_errno("ghost %u: create %s", ghost->id, ghost->path) : 0;
}

static int set_owner(const struct ghost *ghost)
{
	const GhostFileEntry *entry = ghost->entry;

	if (lchown(ghost->path, entry->uid, entry->gid))
		return log_errno("ghost %u: owner %u:%u", ghost->id, entry->uid, entry->gid);
	if (!S_ISLNK(entry->mode) && chmod(ghost->path, entry->mode & 07777))
		return log_errno("ghost %u: mode 0%o", ghost->id, entry->mode);
	return 0;
}

static void set_times(const struct ghost *ghost)
{
	const GhostFileEntry *entry = ghost->entry;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };

	if (entry->atim && entry->atim->tv_usec < 1000000) {
		times[0].tv_sec = (time_t)entry->atim->tv_sec;
		times[0].tv_nsec = (long)entry->atim->tv_usec * 1000;
	}
	if (entry->mtim && entry->mtim->tv_usec < 1000000) {
		times[1].tv_sec = (time_t)entry->mtim->tv_sec;
		times[1].tv_nsec = (long)entry->mtim->tv_usec * 1000;
	}
	if (utimensat(AT_FDCWD, ghost->path, times, AT_SYMLINK_NOFOLLOW))
		log_warn("ghost %u: times: %s", ghost->id, strerror(errno));
}

static void note_made(const char *path, struct place_state *state)
{
	struct stat st;

	if (lstat(path, &st))
		return;
	state->dev = st.st_dev;
	state->ino = st.st_ino;
	__atomic_store_n(&state->is_made, 1, __ATOMIC_RELEASE);
}

static int make_place(struct restore *restore, const struct place *place, struct place_state *state)
{
	int ret;

	if (!place->ghost) {
		if (mkdir(place->path, 0755))
			return log_errno("create directory %s for a ghost file", place->path);
		note_made(place->path, state);
		return 0;
	}
	ret = make_node(restore, place->ghost);
	if (ret != -EEXIST)
		note_made(place->path, state);
	return ret ? ret : set_owner(place->ghost);
}

int ghosts_make(struct restore *restore, struct ghosts *ghosts)
{
	for (size_t i = 0; i < ghosts->nr_places; i++) {
		int ret = make_place(restore, &ghosts->places[i], &ghosts->states[i]);

		if (ret)
			return ret;
	}
	/* Children first: making one touches its directory. */
	for (size_t i = ghosts->nr_places; i > 0; i--) {
		if (ghosts->places[i - 1].ghost)
			set_times(ghosts->places[i - 1].ghost);
	}
	return 0;
}

/* ---- removing, in the restorer ----------------------------------------------------------- */

static void remove_place(const struct place *place, struct place_state *state)
{
	struct stat st;

	if (!__atomic_load_n(&state->is_made, __ATOMIC_ACQUIRE))
		return;
	state->is_made = 0;
	if (lstat(place->path, &st) || st.st_dev != state->dev || st.st_ino != state->ino)
		return;
	if (S_ISDIR(st.st_mode) ? rmdir(place->path) : unlink(place->path))
		log_warn("remove %s: %s", place->path, strerror(errno));
}

void ghosts_remove(struct ghosts *ghosts)
{
	for (size_t i = ghosts->states ? ghosts->nr_places : 0; i > 0; i--)
		remove_place(&ghosts->places[i - 1], &ghosts->states[i - 1]);
}
