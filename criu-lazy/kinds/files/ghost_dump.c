// SPDX-License-Identifier: GPL-2.0
/* A file without a name: its inode's facts and its content, in runs where it has holes. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "ghost-file.pb-c.h"
#include "kinds/files/regular.h"
#include "util/log.h"
#include "util/scope.h"

enum { COPY_BYTES = 256 * 1024 };

static const char ghost_ids, ghosts; /* owners of slots */

/* The kernel's own encoding, as images have it. */
static uint32_t image_dev(dev_t dev)
{
	return (major(dev) << 20) | (minor(dev) & 0xfffff);
}

static uint64_t data_bytes(const struct stat *st)
{
	uint64_t blocks = (uint64_t)st->st_blocks * 512;

	return blocks < (uint64_t)st->st_size ? blocks : (uint64_t)st->st_size;
}

static int check_size(const struct dump *dump, const struct fd_probe *probe)
{
	uint64_t bytes = data_bytes(&probe->st);

	if (!S_ISREG(probe->st.st_mode) || bytes <= dump->opts->ghost_limit)
		return 0;
	return log_ret(-EFBIG,
		       "task %d: fd %d: %s has %" PRIu64 " bytes of data and no name: "
		       "raise --ghost-limit (%" PRIu64 ")",
		       probe->task->pid, probe->number, probe->link, bytes,
		       dump->opts->ghost_limit);
}

static int open_content(const struct fd_probe *probe, int *fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", probe->fd);
	*fd = open(path, O_RDONLY | O_NOATIME | O_CLOEXEC);
	if (*fd < 0 && errno == EPERM)
		*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		return log_errno("task %d: fd %d: read %s", probe->task->pid, probe->number,
				 probe->link);
	return 0;
}

static int copy_run(struct image *img, int fd, uint64_t offset, uint64_t len)
{
	scoped_free char *buf = malloc(COPY_BYTES);

	if (!buf)
		return log_ret(-ENOMEM, "image %s", image_name(img));
	while (len) {
		ssize_t got = pread(fd, buf, len < COPY_BYTES ? len : COPY_BYTES, (off_t)offset);
		int ret;

		if (got <= 0)
			return log_ret(got ? -errno : -EIO, "image %s: read the file at %" PRIu64,
				       image_name(img), offset);
		ret = image_write_raw(img, buf, (size_t)got);
		if (ret)
			return ret;
		offset += (uint64_t)got;
		len -= (uint64_t)got;
	}
	return 0;
}

static int copy_data_runs(struct image *img, int fd, uint64_t size)
{
	off_t at = 0;

	while ((uint64_t)at < size) {
		GhostChunkEntry chunk = GHOST_CHUNK_ENTRY__INIT;
		off_t data = lseek(fd, at, SEEK_DATA), hole;
		int ret;

		if (data < 0 && errno == ENXIO)
			return 0;
		hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return log_errno("image %s: find data at %jd", image_name(img),
					 (intmax_t)at);
		chunk.off = (uint64_t)data;
		chunk.len = (uint64_t)(hole - data);
		ret = image_write(img, &chunk.base);
		if (!ret)
			ret = copy_run(img, fd, chunk.off, chunk.len);
		if (ret)
			return ret;
		at = hole;
	}
	return 0;
}

static int write_content(struct image *img, const struct fd_probe *probe, bool is_sparse)
{
	scoped_fd int fd = -1;
	int ret;

	if (!probe->st.st_size)
		return 0;
	ret = open_content(probe, &fd);
	if (ret)
		return ret;
	if (is_sparse)
		return copy_data_runs(img, fd, (uint64_t)probe->st.st_size);
	return copy_run(img, fd, 0, (uint64_t)probe->st.st_size);
}

static int read_symlink(const struct fd_probe *probe, char *target, size_t size)
{
	ssize_t len = readlinkat(probe->fd, "", target, size - 1);

	if (len < 0)
		return log_errno("task %d: fd %d: readlink %s", probe->task->pid, probe->number,
				 probe->link);
	target[len] = '\0';
	return 0;
}

static int ghost_write(struct dump *dump, const struct fd_probe *probe, uint32_t ghost_id)
{
	const struct stat *st = &probe->st;
	scoped_image struct image *img = NULL;
	GhostFileEntry entry = GHOST_FILE_ENTRY__INIT;
	Timeval atim = TIMEVAL__INIT, mtim = TIMEVAL__INIT;
	char target[PATH_MAX];
	int ret;

	atim.tv_sec = (uint64_t)st->st_atim.tv_sec;
	atim.tv_usec = (uint64_t)st->st_atim.tv_nsec / 1000;
	mtim.tv_sec = (uint64_t)st->st_mtim.tv_sec;
	mtim.tv_usec = (uint64_t)st->st_mtim.tv_nsec / 1000;
	entry.uid = st->st_uid;
	entry.gid = st->st_gid;
	entry.mode = st->st_mode;
	entry.atim = &atim;
	entry.mtim = &mtim;
	entry.has_dev = entry.has_ino = true;
	entry.dev = image_dev(st->st_dev);
	entry.ino = st->st_ino;
	entry.has_rdev = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
	entry.rdev = entry.has_rdev ? image_dev(st->st_rdev) : 0;
	if (S_ISREG(st->st_mode) && data_bytes(st) < (uint64_t)st->st_size) {
		entry.has_chunks = entry.chunks = true;
		entry.has_size = true;
		entry.size = (uint64_t)st->st_size;
	}
	if (S_ISLNK(st->st_mode)) {
		ret = read_symlink(probe, target, sizeof(target));
		if (ret)
			return ret;
		entry.symlnk_target = target;
	}
	ret = image_create(dump->images, IMG_GHOST_FILE, ghost_id, &img);
	if (!ret)
		ret = image_write(img, &entry.base);
	if (!ret && S_ISREG(st->st_mode))
		ret = write_content(img, probe, entry.chunks);
	return ret ? ret : image_close(&img);
}

/* *id: the ghost of this inode, dumped when it is met first. */
static int ghost_id(struct dump *dump, const struct fd_probe *probe, uint32_t *id)
{
	uint32_t *known = files_dump_slot(dump, &ghosts, probe->st.st_dev, probe->st.st_ino);
	uint32_t *last = files_dump_slot(dump, &ghost_ids, 0, 0);
	int ret;

	if (!known || !last)
		return -ENOMEM;
	if (!*known) {
		ret = check_size(dump, probe);
		if (!ret)
			ret = ghost_write(dump, probe, ++*last);
		if (ret)
			return ret;
		*known = *last;
		log_info("%s has no name: ghost %u", probe->link, *known);
	}
	*id = *known;
	return 0;
}

int remap_dump_ghost(struct dump *dump, const struct fd_probe *probe, uint32_t id, const char *name)
{
	RemapFilePathEntry remap = REMAP_FILE_PATH_ENTRY__INIT;
	struct image *img;
	int ret;

	if (S_ISSOCK(probe->st.st_mode))
		return log_ret(-EOPNOTSUPP, "task %d: fd %d: %s is a deleted socket file",
			       probe->task->pid, probe->number, probe->link);
	remap.orig_id = id;
	remap.has_remap_type = true;
	remap.remap_type = REMAP_TYPE__GHOST;
	ret = ghost_id(dump, probe, &remap.remap_id);
	if (!ret)
		ret = files_dump_image(dump, IMG_REMAP_FPATH, &img);
	return ret ? ret : image_write(img, &remap.base);
}
