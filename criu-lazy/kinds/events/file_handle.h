/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From a file handle (open_by_handle_at(2)) on a device to a path and back. Needs
 * CAP_DAC_READ_SEARCH in the initial user namespace.
 */
#ifndef KINDS_EVENTS_FILE_HANDLE_H
#define KINDS_EVENTS_FILE_HANDLE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { FILE_HANDLE_MAX = 128 }; /* MAX_HANDLE_SZ */

struct file_key {
	uint32_t dev; /* the kernel's: major << 20 | minor */
	uint64_t inode;
	uint32_t handle_bytes; /* at most FILE_HANDLE_MAX */
	int32_t handle_type;
	uint8_t handle[FILE_HANDLE_MAX];
};

/*
 * Tries the mounts of `pid` (0: our own) that show the device, until one opens the handle: *fd is
 * O_PATH, owned by the caller. -ENOENT: none has it; -ESTALE: the file is gone. Not logged.
 */
int file_handle_open(pid_t pid, const struct file_key *key, int *fd);
/* The same, but the path under which the task sees the file, malloced; it is checked to lead back
 * to the inode. */
int file_handle_path(pid_t pid, const struct file_key *key, char **path);

#endif
