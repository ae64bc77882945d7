// SPDX-License-Identifier: GPL-2.0
/*
 * A file that has names, but not the one the kernel shows: one more name is made next to the lost
 * one, and taken back if the dump fails or the task goes on running.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "kinds/files/regular.h"
#include "kinds/fown.h"
#include "util/log.h"
#include "util/scope.h"

static const char links; /* owner of slots: (dev, ino) -> id of the entry with the new name */

struct made_link {
	const struct options *opts;
	char path[];
};

static void link_undo(void *arg, bool failed)
{
	struct made_link *made = arg;

	if ((failed || made->opts->final_state == FINAL_RUNNING) && unlink(made->path) &&
	    errno != ENOENT)
		log_warn("unlink %s: %s", made->path, strerror(errno));
	free(made);
}

/* By the descriptor, which needs CAP_DAC_READ_SEARCH, or by its link in /proc. */
static int link_fd(int fd, const char *path)
{
	char proc[64];

	if (!linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH))
		return 0;
	if (errno == EEXIST)
		return -errno;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, proc, AT_FDCWD, path, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

/* A name that is taken may be of another dump, still to be restored. */
static int link_in(const struct fd_probe *probe, const char *dir, uint32_t id, char **out)
{
	int ret = -EEXIST;

	for (unsigned int i = 0; ret == -EEXIST && i < 1000; i++) {
		free(take_ptr(*out));
		if (asprintf(out, i ? "%s/link_remap.%u.%u" : "%s/link_remap.%u", dir, id, i) < 0) {
			*out = NULL;
			return -ENOMEM;
		}
		ret = link_fd(probe->fd, *out);
	}
	return ret;
}

/* In the directory of name, or the nearest one above that is still there. */
static int make_link(const struct fd_probe *probe, const char *name, uint32_t id, char **out)
{
	scoped_free char *dir = strdup(name);
	scoped_free char *path = NULL;
	int ret = dir ? -ENOENT : -ENOMEM;

	while (ret == -ENOENT && strrchr(dir, '/')) {
		*strrchr(dir, '/') = '\0';
		ret = link_in(probe, dir, id, &path);
	}
	if (ret)
		return log_ret(ret, "task %d: fd %d: %s is no longer at its name: link it as %s",
			       probe->task->pid, probe->number, probe->link, path ? path : "?");
	*out = take_ptr(path);
	return 0;
}

static int push_undo(struct dump *dump, const char *path)
{
	struct made_link *made = malloc(sizeof(*made) + strlen(path) + 1);

	if (!made) {
		unlink(path);
		return log_ret(-ENOMEM, "link %s", path);
	}
	made->opts = dump->opts;
	strcpy(made->path, path);
	return undo_push(&dump->undo, link_undo, made);
}

static int write_link_entry(struct dump *dump, uint32_t id, char *path)
{
	FileEntry entry = FILE_ENTRY__INIT;
	RegFileEntry reg = REG_FILE_ENTRY__INIT;
	FownEntry fown = FOWN_ENTRY__INIT;

	reg.id = id;
	reg.name = path;
	reg.fown = &fown;
	entry.type = FD_TYPES__REG;
	entry.id = id;
	entry.reg = &reg;
	return files_dump_entry(dump, &entry);
}

static int check_linkable(const struct dump *dump, const struct fd_probe *probe)
{
	if (S_ISDIR(probe->st.st_mode))
		return log_ret(
			-EOPNOTSUPP,
			"task %d: fd %d: directory %s is not what its name leads to (covered "
			"by a mount, or replaced)",
			probe->task->pid, probe->number, probe->link);
	if (!dump->opts->link_remap)
		return log_ret(-EOPNOTSUPP,
			       "task %d: fd %d: %s is no longer at its name but has others: give "
			       "--link-remap",
			       probe->task->pid, probe->number, probe->link);
	return 0;
}

int remap_dump_link(struct dump *dump, const struct fd_probe *probe, uint32_t id, const char *name)
{
	uint32_t *known = files_dump_slot(dump, &links, probe->st.st_dev, probe->st.st_ino);
	RemapFilePathEntry remap = REMAP_FILE_PATH_ENTRY__INIT;
	scoped_free char *path = NULL;
	struct image *img;
	int ret = known ? check_linkable(dump, probe) : -ENOMEM;

	if (ret)
		return ret;
	if (!*known) {
		uint32_t link_id = files_dump_new_id(dump);

		ret = make_link(probe, name, link_id, &path);
		if (!ret)
			ret = push_undo(dump, path);
		if (!ret)
			ret = write_link_entry(dump, link_id, path);
		if (ret)
			return ret;
		log_info("%s is linked as %s", probe->link, path);
		*known = link_id;
	}
	remap.orig_id = id;
	remap.remap_id = *known;
	remap.has_remap_type = true;
	remap.remap_type = REMAP_TYPE__LINKED;
	ret = files_dump_image(dump, IMG_REMAP_FPATH, &img);
	return ret ? ret : image_write(img, &remap.base);
}
