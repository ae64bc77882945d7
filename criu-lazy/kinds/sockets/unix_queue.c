// SPDX-License-Identifier: GPL-2.0
/*
 * Unread data of unix sockets: sk-queues.img. It is read with MSG_PEEK along SO_PEEK_OFF, so that
 * it stays where it is, and written back through the peer (or someone who plays it).
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "kinds/families.h"
#include "kinds/sockets/sk_opts.h"
#include "kinds/sockets/unix.h"
#include "sk-packet.pb-c.h"
#include "util/bisect.h"
#include "util/log.h"
#include "util/scope.h"

enum {
	MAX_PACKET = 64 << 20,
	STREAM_CHUNK = 256 << 10,
	FIRST_BUFFER = 64 << 10,
	MAX_RIGHTS = 253, /* SCM_MAX_FD */
	MAX_EMPTY = 256,  /* packets in a row */
};

/* ---- dump ---------------------------------------------------------------- */

struct peeked {
	uint8_t *data;
	size_t cap;
	struct sockaddr_un sender;
	socklen_t sender_len;
	int rights[MAX_RIGHTS]; /* ours now */
	size_t nr_rights;
};

static int grow(struct peeked *packet, size_t wanted)
{
	uint8_t *data;

	if (wanted <= packet->cap)
		return 0;
	if (wanted > MAX_PACKET)
		return -EMSGSIZE;
	data = realloc(packet->data, wanted);
	if (!data)
		return -ENOMEM;
	packet->data = data;
	packet->cap = wanted;
	return 0;
}

static void close_rights(struct peeked *packet)
{
	while (packet->nr_rights)
		close(packet->rights[--packet->nr_rights]);
}

static void take_rights(struct msghdr *msg, struct peeked *packet)
{
	for (struct cmsghdr *head = CMSG_FIRSTHDR(msg); head; head = CMSG_NXTHDR(msg, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		packet->nr_rights = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(packet->rights, CMSG_DATA(head), packet->nr_rights * sizeof(int));
	}
}

/* The next packet or piece of stream after what was peeked before; its length, or -EAGAIN. */
static ssize_t peek(int fd, struct peeked *packet)
{
	char control[CMSG_SPACE(MAX_RIGHTS * sizeof(int)) + 256] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = packet->data, .iov_len = packet->cap };
	struct msghdr msg = {
		.msg_name = &packet->sender,
		.msg_namelen = sizeof(packet->sender),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t len = recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);

	if (len < 0)
		return -errno;
	packet->sender_len = msg.msg_namelen;
	take_rights(&msg, packet);
	/* Descriptors that we had no room for: they would be lost in silence. */
	if (msg.msg_flags & MSG_CTRUNC) {
		close_rights(packet);
		return -EMFILE;
	}
	return len;
}

/* For packets: with SO_PEEK_OFF a packet larger than the buffer would be split, so its size is
 * asked first. MSG_TRUNC tells the whole size, and the offset moves by what was copied. */
static ssize_t peek_packet(int fd, struct peeked *packet, int *offset)
{
	ssize_t len = peek(fd, packet);
	int ret;

	if (len < 0 || (size_t)len <= packet->cap) {
		*offset += len > 0 ? len : 0;
		return len;
	}
	close_rights(packet); /* they come again */
	ret = grow(packet, len);
	if (!ret && setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, offset, sizeof(*offset)))
		ret = -errno;
	if (ret)
		return ret;
	len = peek(fd, packet);
	*offset += len > 0 ? len : 0;
	return len;
}

/* Each becomes an object of files.img, and its id goes into scm. */
static int dump_rights(struct dump *dump, const struct task *task, struct peeked *packet,
		       ScmEntry *scm, uint32_t ids[MAX_RIGHTS])
{
	scm->type = SCM_RIGHTS;
	scm->rights = ids;
	for (size_t i = 0; i < packet->nr_rights; i++) {
		int fd = packet->rights[i];

		packet->rights[i] = -1;
		int ret = files_dump_travelling(dump, task, fd, &ids[i]);

		if (ret) {
			close_rights(packet);
			return ret;
		}
		scm->n_rights++;
	}
	packet->nr_rights = 0;
	return 0;
}

static int write_packet(struct dump *dump, const struct task *task, uint32_t id,
			struct peeked *packet, size_t len)
{
	SkPacketEntry entry = SK_PACKET_ENTRY__INIT;
	ScmEntry scm = SCM_ENTRY__INIT, *scms[] = { &scm };
	uint32_t ids[MAX_RIGHTS];
	struct image *img;
	int ret = files_dump_image(dump, IMG_SK_QUEUES, &img);

	if (!ret && packet->nr_rights) {
		ret = dump_rights(dump, task, packet, &scm, ids);
		entry.scm = scms;
		entry.n_scm = 1;
	}
	if (ret)
		return ret;
	entry.id_for = id;
	entry.length = len;
	if (packet->sender_len > offsetof(struct sockaddr_un, sun_path)) {
		entry.has_sender = true;
		entry.sender.data = (uint8_t *)packet->sender.sun_path;
		entry.sender.len = packet->sender_len - offsetof(struct sockaddr_un, sun_path);
	}
	return image_write_payload(img, &entry.base, packet->data, len);
}

static bool is_end(ssize_t error)
{
	/* Nothing more is there; nothing more comes (shutdown); or an old error waits, which is
	 * left to the task. */
	return error == -EAGAIN || error == -ECONNRESET || error == -ENOTCONN || error == -EINVAL;
}

/* A packet, after the empty ones before it. */
static int write_in_order(struct dump *dump, const struct task *task, uint32_t id,
			  struct peeked *packet, ssize_t len, size_t nr_empty)
{
	struct peeked empty = { .sender_len = 0 };
	int ret = 0;

	while (!ret && nr_empty--)
		ret = write_packet(dump, task, id, &empty, 0);
	return ret || len < 0 ? ret : write_packet(dump, task, id, packet, len);
}

static int dump_all(struct dump *dump, const struct fd_probe *probe, uint32_t id, int type)
{
	struct peeked packet = { 0 };
	int offset = 0;
	int ret = grow(&packet, type == SOCK_STREAM ? STREAM_CHUNK : FIRST_BUFFER);
	scoped_free uint8_t *owned = NULL;
	size_t nr_empty = 0;

	while (!ret) {
		ssize_t len = type == SOCK_STREAM ? peek(probe->fd, &packet)
						  : peek_packet(probe->fd, &packet, &offset);

		owned = packet.data;
		if (len < 0 && !is_end(len))
			return log_ret(len, "task %d: fd %d: peek at a unix socket's data",
				       probe->task->pid, probe->number);
		if (!len && type == SOCK_STREAM)
			return 0;
		/* Each empty packet is seen once, the end of a connection for ever. */
		if (!len && type == SOCK_SEQPACKET && !packet.nr_rights) {
			if (++nr_empty > MAX_EMPTY)
				return 0;
			continue;
		}
		if (type == SOCK_STREAM)
			packet.sender_len = 0;
		ret = write_in_order(dump, probe->task, id, &packet, len, nr_empty);
		nr_empty = 0;
		if (len < 0)
			return ret;
	}
	return ret;
}

int unix_queue_dump(struct dump *dump, const struct fd_probe *probe, uint32_t id, int type)
{
	int before = sk_get_int(probe->fd, SOL_SOCKET, SO_PEEK_OFF, -1), start = 0, ret;

	if (setsockopt(probe->fd, SOL_SOCKET, SO_PEEK_OFF, &start, sizeof(start)))
		return log_errno("task %d: fd %d: set SO_PEEK_OFF", probe->task->pid,
				 probe->number);
	ret = dump_all(dump, probe, id, type);
	if (setsockopt(probe->fd, SOL_SOCKET, SO_PEEK_OFF, &before, sizeof(before)) && !ret)
		ret = log_errno("task %d: fd %d: put SO_PEEK_OFF back", probe->task->pid,
				probe->number);
	return ret;
}

/* ---- restore ------------------------------------------------------------- */

static int take_packet(void *arg, struct image *img, const ProtobufCMessage *msg)
{
	const SkPacketEntry *entry = (const SkPacketEntry *)msg;
	struct unix_table *table = arg;
	struct unix_packet *packets, *packet;

	for (size_t i = 0; i < entry->n_scm; i++) {
		if (entry->scm[i]->type != SCM_RIGHTS || entry->n_scm > 1 ||
		    entry->scm[i]->n_rights > MAX_RIGHTS)
			return image_bad(img, "packet with control message %u of %zu files",
					 entry->scm[i]->type, entry->scm[i]->n_rights);
	}
	if (entry->length > MAX_PACKET)
		return image_bad(img, "packet of %u bytes", entry->length);
	packets = realloc(table->packets, (table->nr_packets + 1) * sizeof(*packets));
	if (!packets)
		return -ENOMEM;
	table->packets = packets;
	packet = &packets[table->nr_packets];
	*packet = (struct unix_packet){ .id = entry->id_for, .order = table->nr_packets };
	packet->data = malloc(entry->length + 1);
	if (!packet->data)
		return -ENOMEM;
	table->nr_packets++;
	packet->len = entry->length;
	if (entry->n_scm && entry->scm[0]->n_rights) {
		packet->nr_rights = entry->scm[0]->n_rights;
		packet->rights = calloc(packet->nr_rights, sizeof(uint32_t));
		if (!packet->rights)
			return -ENOMEM;
		memcpy(packet->rights, entry->scm[0]->rights, packet->nr_rights * sizeof(uint32_t));
	}
	if (entry->has_sender && entry->sender.len && entry->sender.len <= UNIX_NAME_MAX) {
		packet->sender = malloc(entry->sender.len);
		if (!packet->sender)
			return -ENOMEM;
		memcpy(packet->sender, entry->sender.data, entry->sender.len);
		packet->sender_len = entry->sender.len;
	}
	return image_read_raw(img, packet->data, packet->len);
}

static int compare_packets(const void *a, const void *b)
{
	const struct unix_packet *left = a, *right = b;

	if (left->id != right->id)
		return left->id < right->id ? -1 : 1;
	return left->order < right->order ? -1 : left->order > right->order;
}

int unix_queue_load(struct restore *restore, struct unix_table *table)
{
	scoped_image struct image *img = NULL;
	int ret = image_open(restore->images, IMG_SK_QUEUES, 0, &img);

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	ret = image_each(img, &sk_packet_entry__descriptor, take_packet, table);
	if (table->nr_packets)
		qsort(table->packets, table->nr_packets, sizeof(*table->packets), compare_packets);
	return ret;
}

void unix_queue_free(struct unix_table *table)
{
	for (size_t i = 0; i < table->nr_packets; i++) {
		free(table->packets[i].data);
		free(table->packets[i].sender);
		free(table->packets[i].rights);
	}
	free(table->packets);
}

const struct unix_packet *unix_queue_find(const struct unix_table *table, uint32_t id,
					  size_t *count)
{
	const struct unix_packet *packets = table->packets;
	size_t first = bisect(table->nr_packets, i, packets[i].id >= id);

	*count = bisect(table->nr_packets, i, packets[i].id > id) - first;
	return *count ? &packets[first] : NULL;
}

/* A file nobody holds is opened for the journey only. */
static int get_right(const struct restore *restore, uint32_t id, int *fd)
{
	const struct file_object *object = file_table_find(restore->files, id);

	if (object && object->master >= 0) {
		*fd = fcntl(object->master, F_DUPFD_CLOEXEC, 0);
		return *fd < 0 ? -errno : 0;
	}
	return files_open_path((struct restore *)restore, id, -1, fd);
}

static ssize_t send_rights(const struct restore *restore, const struct unix_packet *packet,
			   int sender)
{
	char control[CMSG_SPACE(MAX_RIGHTS * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { .iov_base = packet->data, .iov_len = packet->len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(packet->nr_rights * sizeof(int)),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	int fds[MAX_RIGHTS], ret = 0;
	size_t count = 0;
	ssize_t len = -1;

	while (!ret && count < packet->nr_rights) {
		ret = get_right(restore, packet->rights[count], &fds[count]);
		if (!ret)
			count++;
	}
	if (!ret) {
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(head), fds, count * sizeof(int));
		len = sendmsg(sender, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		ret = len < 0 ? -errno : 0;
	}
	while (count)
		close(fds[--count]);
	return ret ? ret : len;
}

int unix_queue_send_one(const struct restore *restore, const struct unix_packet *packet, int sender)
{
	size_t done = 0;

	if (packet->nr_rights) {
		ssize_t len = send_rights(restore, packet, sender);

		if (len < 0)
			return log_ret(len, "unix socket %#x: put back a message with %zu files",
				       packet->id, packet->nr_rights);
		done = len;
		if (done == packet->len)
			return 0;
	}
	do {
		ssize_t len = send(sender, packet->data + done, packet->len - done,
				   MSG_DONTWAIT | MSG_NOSIGNAL);

		if (len < 0)
			return log_errno("unix socket %#x: put back %zu bytes of unread data",
					 packet->id, packet->len - done);
		done += len;
	} while (done < packet->len);
	return 0;
}

int unix_queue_send(const struct restore *restore, const struct unix_table *table,
		    const struct file_object *object, int sender)
{
	size_t count;
	const struct unix_packet *packets = unix_queue_find(table, object->id, &count);
	int plenty = INT_MAX / 4, ret = 0;

	/* It fitted before, but perhaps through several senders. Without CAP_NET_ADMIN the default
	 * must do. The sender's own size is set later, with its other options. */
	if (count)
		setsockopt(sender, SOL_SOCKET, SO_SNDBUFFORCE, &plenty, sizeof(plenty));
	for (size_t i = 0; !ret && i < count; i++)
		ret = unix_queue_send_one(restore, &packets[i], sender);
	return ret;
}
