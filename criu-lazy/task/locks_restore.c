// SPDX-License-Identifier: GPL-2.0
/*
 * File locks. They are taken by the task inside the blob, after all that it closes is closed: a
 * POSIX lock goes with the first descriptor of its file that the process closes, also one of ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "file-lock.pb-c.h"
#include "task/task_restore.h"
#include "util/log.h"
#include "util/scope.h"

enum { LOCK_POSIX = 1, LOCK_FLOCK = 2, LOCK_OFD = 4, LOCK_LEASE = 8, LOCKS_MAX = 1 << 20 };

struct lock_table {
	FileLockEntry **entries;
	size_t count;
};

static int check_entry(const struct restore *restore, const FileLockEntry *entry)
{
	const struct task *task = tree_find(&restore->tree, entry->pid);

	if (!task || task->state == TASK_DEAD)
		return log_ret(-EBADMSG, "filelocks.img: lock of task %d, which is not in the tree",
			       entry->pid);
	if (entry->flag != LOCK_POSIX && entry->flag != LOCK_FLOCK && entry->flag != LOCK_OFD &&
	    entry->flag != LOCK_LEASE)
		return log_ret(-EOPNOTSUPP, "task %d: fd %d: file lock of unknown kind %u",
			       entry->pid, entry->fd, entry->flag);
	if (entry->fd < 0 || entry->type > F_UNLCK || entry->start < 0 || entry->len < 0)
		return log_ret(-EBADMSG, "filelocks.img: task %d: fd %d: bad lock", entry->pid,
			       entry->fd);
	return 0;
}

/* Takes msg. */
static int add_entry(struct lock_table *table, ProtobufCMessage *msg)
{
	FileLockEntry **more;

	if (table->count == LOCKS_MAX) {
		image_msg_free(msg);
		return log_ret(-E2BIG, "filelocks.img");
	}
	more = realloc(table->entries, (table->count + 1) * sizeof(*more));
	if (!more) {
		image_msg_free(msg);
		return log_ret(-ENOMEM, "filelocks.img");
	}
	table->entries = more;
	table->entries[table->count++] = (FileLockEntry *)msg;
	return 0;
}

int locks_plan(struct restore *restore)
{
	scoped_image struct image *img = NULL;
	ProtobufCMessage *msg;
	int ret = image_open(restore->images, IMG_FILE_LOCKS, 0, &img);

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	restore->locks = calloc(1, sizeof(*restore->locks));
	if (!restore->locks)
		return log_ret(-ENOMEM, "filelocks.img");
	while ((ret = image_read(img, &file_lock_entry__descriptor, &msg)) > 0) {
		ret = check_entry(restore, (FileLockEntry *)msg);
		if (ret) {
			image_msg_free(msg);
			return ret;
		}
		ret = add_entry(restore->locks, msg);
		if (ret)
			return ret;
	}
	return ret;
}

void locks_free(struct restore *restore)
{
	for (size_t i = 0; restore->locks && i < restore->locks->count; i++)
		image_msg_free(&restore->locks->entries[i]->base);
	if (restore->locks)
		free(restore->locks->entries);
	free(restore->locks);
	restore->locks = NULL;
}

uint64_t locks_restore_bytes(const struct restore *restore, const struct task *task)
{
	uint64_t bytes = 0;

	for (size_t i = 0; restore->locks && i < restore->locks->count; i++) {
		if (restore->locks->entries[i]->pid == task->pid)
			bytes += 64; /* a struct flock, aligned */
	}
	return bytes;
}

static void compose_range(struct compose *compose, const FileLockEntry *entry, int command)
{
	const struct flock lock = {
		.l_type = entry->type,
		.l_whence = SEEK_SET,
		.l_start = entry->start,
		.l_len = entry->len,
	};

	calls_must(&compose->calls, RESTORER_WHAT_FILE_LOCK, SYS_fcntl, entry->fd, command,
		   region_copy(&compose->region, &lock, sizeof(lock)));
}

static void compose_lock(struct compose *compose, const FileLockEntry *entry)
{
	switch (entry->flag) {
	case LOCK_POSIX:
		compose_range(compose, entry, F_SETLK);
		break;
	case LOCK_OFD:
		compose_range(compose, entry, F_OFD_SETLK);
		break;
	case LOCK_FLOCK:
		calls_must(&compose->calls, RESTORER_WHAT_FILE_LOCK, SYS_flock, entry->fd,
			   (entry->type == F_RDLCK ? LOCK_SH : LOCK_EX) | LOCK_NB);
		break;
	case LOCK_LEASE:
		calls_must(&compose->calls, RESTORER_WHAT_FILE_LOCK, SYS_fcntl, entry->fd,
			   F_SETLEASE, entry->type);
		break;
	}
}

void compose_locks(struct compose *compose)
{
	const struct lock_table *table = compose->restore->locks;

	for (size_t i = 0; table && i < table->count; i++) {
		if (table->entries[i]->pid == compose->task->pid)
			compose_lock(compose, table->entries[i]);
	}
}
