/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the files of the unix socket kind. */
#ifndef KINDS_SOCKETS_UNIX_H
#define KINDS_SOCKETS_UNIX_H

#include <stddef.h>
#include <stdint.h>

#include "kinds/kind.h"
#include "kinds/sockets/unix_diag.h"

enum {
	UNIX_USED_OUTSIDE = 1,	    /* uflags: not of the tree; only its name is known */
	UNIX_STATE_ESTABLISHED = 1, /* TCP_* of the kernel */
	UNIX_STATE_CLOSE = 7,
	UNIX_STATE_LISTEN = 10,
};

/* ---- dump, in unix_dump.c and unix_queue.c ------------------------------- */

/* kind_ops.dump, as kinds/kind.h has it. */
int unix_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry);
/* The unread data of the socket goes to sk-queues.img, packet by packet, and stays where it is. */
int unix_queue_dump(struct dump *dump, const struct fd_probe *probe, uint32_t id, int type);

/* ---- restore, in unix_restore.c and unix_queue.c ------------------------- */

struct unix_packet {
	uint32_t id; /* of the socket it waits in */
	uint32_t order;
	size_t len;
	uint8_t *data;
	uint8_t *sender; /* name of the datagram's sender, or NULL */
	size_t sender_len;
	uint32_t *rights; /* file objects that travel with it */
	size_t nr_rights;
};

/* What all unix sockets of the images have in common; in file_table_priv(). */
struct unix_table {
	struct file_object **by_ino; /* sorted */
	size_t nr_sockets;
	struct unix_packet *packets; /* sorted by socket, then order */
	size_t nr_packets;
};

/* Restorer, plan: all of sk-queues.img, checked, into table->packets. 0 also without the file. */
int unix_queue_load(struct restore *restore, struct unix_table *table);
void unix_queue_free(struct unix_table *table);
/* The packets of a socket: the first, and how many. */
const struct unix_packet *unix_queue_find(const struct unix_table *table, uint32_t id,
					  size_t *count);
/* Writes them all, or one, into `sender`, a socket connected to the one they wait in. Makes the
 * sender's buffer large: its options come later. Logged. */
int unix_queue_send_one(const struct restore *restore, const struct unix_packet *packet,
			int sender);
int unix_queue_send(const struct restore *restore, const struct unix_table *table,
		    const struct file_object *object, int sender);

/* ---- names, in unix_name.c ----------------------------------------------- */

/*
 * Binds fd to the entry's name. Path names: a stale socket file of that name is replaced; relative
 * names are bound in name_dir. *file (may be NULL) gets an O_PATH descriptor, owned by the caller.
 * With is_temporary what was there before is put back and the new file removed.
 */
int unix_name_bind(const UnixSkEntry *usk, int fd, bool is_temporary, int *file);
/* Connects fd to the entry's name; file: as above, or -1 to use the name itself. */
int unix_name_connect(const UnixSkEntry *usk, int fd, int file);
/* "/path", "@abstract" or "unnamed" for messages. */
struct unix_name_text {
	char text[UNIX_NAME_MAX + 8];
};
struct unix_name_text unix_name_text(const uint8_t *name, size_t len);

#endif
