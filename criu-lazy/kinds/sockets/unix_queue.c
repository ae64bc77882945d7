// SPDX-License-Identifier: GPL-2.0
/*
 * Unread data of unix sockets: sk-queues.img. It is read with MSG_PEEK along SO_PEEK_OFF, so that
 * it stays where it is, and written back through the peer (or someone who plays it).
 */
#include <limits.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "kinds/families.h"
#include "kinds/sockets/sk_opts.h"
#include "kinds/sockets/unix.h"
#include "sk-packet.pb-c.h"
#include "util/log.h"
#include "util/scope.h"

enum {
	MAX_PACKET = 64 << 20,
	STREAM_CHUNK = 256 << 10,
	FIRST_BUFFER = 64 << 10,
};

/* ---- dump ---------------------------------------------------------------- */

struct peeked {
	uint8_t *data;
	size_t cap;
	struct sockaddr_un sender;
	socklen_t sender_len;
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

/* The next packet or piece of stream after what was peeked before; its length, or -EAGAIN. */
static ssize_t peek(int fd, struct peeked *packet)
{
	char control[256];
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
	ret = grow(packet, len);
	if (!ret && setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, offset, sizeof(*offset)))
		ret = -errno;
	if (ret)
		return ret;
	len = peek(fd, packet);
	*offset += len > 0 ? len : 0;
	return len;
}

static int write_packet(struct dump *dump, uint32_t id, const struct peeked *packet, size_t len)
{
	SkPacketEntry entry = SK_PACKET_ENTRY__INIT;
	struct image *img;
	int ret = files_dump_image(dump, IMG_SK_QUEUES, &img);

	if (ret)
		return ret;
	entry.id_for = id;
	entry.length = len;
	if (packet->sender_len > offsetof(struct sockaddr_un, sun_path)) {
		entry.has_sender = true;
		entry.sender.data = (uint8_t *)packet->sender.sun_path;
		entry.sender.len = packet->sender_len - offsetof(struct sockaddr_un, sun_path);
	}
	return image_write(img, &entry.base) ?: image_write_raw(img, packet->data, len);
}

static int dump_all(struct dump *dump, const struct fd_probe *probe, uint32_t id, int type)
{
	struct peeked packet = { 0 };
	int offset = 0;
	int ret = grow(&packet, type == SOCK_STREAM ? STREAM_CHUNK : FIRST_BUFFER);
	scoped_free uint8_t *owned = NULL;

	while (!ret) {
		ssize_t len = type == SOCK_STREAM ? peek(probe->fd, &packet)
						  : peek_packet(probe->fd, &packet, &offset);

		owned = packet.data;
		if (len == -EAGAIN || len == -EWOULDBLOCK)
			return 0;
		/* Nothing more comes (shutdown), or an old error waits, which is left to the task.
		 */
		if (len == -ECONNRESET || len == -ENOTCONN || len == -EINVAL)
			return 0;
		if (len < 0)
			return log_ret(len, "task %d: fd %d: peek at a unix socket's data",
				       probe->task->pid, probe->number);
		if (!len && type != SOCK_DGRAM)
			return 0;
		if (type == SOCK_STREAM)
			packet.sender_len = 0;
		ret = write_packet(dump, id, &packet, len);
	}
	return ret;
}

/* Descriptors travelling in messages: "scm_fds" of fdinfo, since Linux 5.11. */
static bool has_descriptors(const struct fd_probe *probe)
{
	const char *line = strstr(probe->fdinfo, "scm_fds:");

	return line && atoi(line + strlen("scm_fds:"));
}

int unix_queue_dump(struct dump *dump, const struct fd_probe *probe, uint32_t id, int type)
{
	int before = sk_get_int(probe->fd, SOL_SOCKET, SO_PEEK_OFF, -1), start = 0, ret;

	if (has_descriptors(probe))
		return log_ret(
			-EOPNOTSUPP,
			"task %d: fd %d: unix socket holds messages with descriptors in flight "
			"(SCM_RIGHTS)",
			probe->task->pid, probe->number);
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

static int take_packet(struct unix_table *table, struct image *img, const SkPacketEntry *entry)
{
	struct unix_packet *packets, *packet;

	if (entry->n_scm)
		return log_ret(-EOPNOTSUPP, "unix socket %#x: messages with descriptors in flight",
			       entry->id_for);
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
	ProtobufCMessage *msg;
	int ret = image_open(restore->images, IMG_SK_QUEUES, 0, &img);

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	while ((ret = image_read(img, &sk_packet_entry__descriptor, &msg)) > 0) {
		ret = take_packet(table, img, (const SkPacketEntry *)msg);
		image_msg_free(msg);
		if (ret)
			return ret;
	}
	if (table->nr_packets)
		qsort(table->packets, table->nr_packets, sizeof(*table->packets), compare_packets);
	return ret;
}

void unix_queue_free(struct unix_table *table)
{
	for (size_t i = 0; i < table->nr_packets; i++) {
		free(table->packets[i].data);
		free(table->packets[i].sender);
	}
	free(table->packets);
}

const struct unix_packet *unix_queue_find(const struct unix_table *table, uint32_t id,
					  size_t *count)
{
	size_t low = 0, high = table->nr_packets;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (table->packets[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	for (*count = 0; low + *count < table->nr_packets; ++*count) {
		if (table->packets[low + *count].id != id)
			break;
	}
	return *count ? &table->packets[low] : NULL;
}

int unix_queue_send_one(const struct unix_packet *packet, int sender)
{
	size_t done = 0;

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

int unix_queue_send(const struct unix_table *table, const struct file_object *object, int sender)
{
	size_t count;
	const struct unix_packet *packets = unix_queue_find(table, object->id, &count);
	int plenty = INT_MAX / 4, ret = 0;

	/* It fitted before, but perhaps through several senders. Without CAP_NET_ADMIN the default
	 * must do. The sender's own size is set later, with its other options. */
	if (count)
		setsockopt(sender, SOL_SOCKET, SO_SNDBUFFORCE, &plenty, sizeof(plenty));
	for (size_t i = 0; !ret && i < count; i++)
		ret = unix_queue_send_one(&packets[i], sender);
	return ret;
}
