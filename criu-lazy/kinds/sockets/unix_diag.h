/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What sock_diag(7) tells of unix sockets. In the network namespace of the
 * caller. Nothing is logged.
 */
#ifndef KINDS_SOCKETS_UNIX_DIAG_H
#define KINDS_SOCKETS_UNIX_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { UNIX_NAME_MAX = 108 };

struct unix_info {
	uint32_t ino;
	uint8_t type, state, shutdown; /* SOCK_*, TCP_*, bit 0 receive and bit 1 send */
	uint32_t peer;		       /* inode; 0: none, gone, or not accepted yet */
	uint32_t queue[2];	       /* listening: waiting connections and backlog; else bytes */
	uint32_t vfs_ino, vfs_dev;     /* of the bound path's file, when it was bound */
	size_t name_len;	       /* 0: not bound */
	uint8_t name[UNIX_NAME_MAX];   /* abstract ones start with NUL */
	uint32_t *waiting; /* malloced: clients of a listening socket, inodes; 0: closed */
	size_t nr_waiting;
};

/* The socket with this inode. -ENOENT if there is none. */
int unix_diag_get(uint32_t ino, struct unix_info *out);
/* All sockets in one of the states (bits 1 << TCP_*). fn may stop it with a non-zero return. */
int unix_diag_each(uint32_t states, int (*fn)(const struct unix_info *info, void *arg), void *arg);
/* Is it bound to the file that st is of? */
bool unix_info_is_bound_to(const struct unix_info *info, const struct stat *st);
void unix_info_free(struct unix_info *info);

/* Parses the payload of one SOCK_DIAG_BY_FAMILY message; -EBADMSG. Pure. */
int unix_diag_parse(const void *payload, size_t len, struct unix_info *out);

#endif
