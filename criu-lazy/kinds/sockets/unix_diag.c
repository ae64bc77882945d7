// SPDX-License-Identifier: GPL-2.0
#include "kinds/sockets/unix_diag.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include "util/scope.h"

enum {
	/* One answer: less than a page of attributes (the kernel's own limit) and the header. */
	BUFFER_SIZE = 64 * 1024,
	SHOW_ALL = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS |
		   UDIAG_SHOW_RQLEN,
};

bool unix_info_is_bound_to(const struct unix_info *info, const struct stat *st)
{
	uint32_t dev = major(st->st_dev) << 20 | minor(st->st_dev);

	return S_ISSOCK(st->st_mode) && st->st_ino == info->vfs_ino && dev == info->vfs_dev;
}

void unix_info_free(struct unix_info *info)
{
	free(info->waiting);
	info->waiting = NULL;
}

static int parse_attribute(int type, const void *data, size_t len, struct unix_info *out)
{
	const struct unix_diag_vfs *vfs = data;
	const struct unix_diag_rqlen *queue = data;

	switch (type) {
	case UNIX_DIAG_NAME:
		if (len > UNIX_NAME_MAX)
			return -EBADMSG;
		memcpy(out->name, data, len);
		out->name_len = len;
		return 0;
	case UNIX_DIAG_VFS:
		if (len < sizeof(*vfs))
			return -EBADMSG;
		out->vfs_ino = vfs->udiag_vfs_ino;
		out->vfs_dev = vfs->udiag_vfs_dev;
		return 0;
	case UNIX_DIAG_PEER:
		if (len < sizeof(out->peer))
			return -EBADMSG;
		memcpy(&out->peer, data, sizeof(out->peer));
		return 0;
	case UNIX_DIAG_RQLEN:
		if (len < sizeof(*queue))
			return -EBADMSG;
		out->queue[0] = queue->udiag_rqueue;
		out->queue[1] = queue->udiag_wqueue;
		return 0;
	case UNIX_DIAG_SHUTDOWN:
		if (!len)
			return -EBADMSG;
		out->shutdown = *(const uint8_t *)data;
		return 0;
	case UNIX_DIAG_ICONS:
		free(out->waiting);
		out->nr_waiting = len / sizeof(uint32_t);
		out->waiting = calloc(out->nr_waiting + 1, sizeof(uint32_t));
		if (!out->waiting)
			return -ENOMEM;
		memcpy(out->waiting, data, out->nr_waiting * sizeof(uint32_t));
		return 0;
	}
	return 0;
}

int unix_diag_parse(const void *payload, size_t len, struct unix_info *out)
{
	const struct unix_diag_msg *msg = payload;
	const uint8_t *at = (const uint8_t *)payload + NLMSG_ALIGN(sizeof(*msg));
	const uint8_t *end = (const uint8_t *)payload + len;

	memset(out, 0, sizeof(*out));
	if (len < sizeof(*msg))
		return -EBADMSG;
	out->ino = msg->udiag_ino;
	out->type = msg->udiag_type;
	out->state = msg->udiag_state;
	while (at + sizeof(struct rtattr) <= end) {
		struct rtattr attr;
		int ret;

		memcpy(&attr, at, sizeof(attr));
		if (attr.rta_len < sizeof(attr) || attr.rta_len > end - at) {
			unix_info_free(out);
			return -EBADMSG;
		}
		ret = parse_attribute(attr.rta_type, at + RTA_LENGTH(0),
				      attr.rta_len - RTA_LENGTH(0), out);
		if (ret) {
			unix_info_free(out);
			return ret;
		}
		at += RTA_ALIGN(attr.rta_len);
	}
	return 0;
}

static int send_request(int fd, uint32_t ino, uint32_t states)
{
	struct {
		struct nlmsghdr head;
		struct unix_diag_req req;
	} msg = {
		.head = { .nlmsg_len = sizeof(msg),
			  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = NLM_F_REQUEST | (ino ? 0 : NLM_F_DUMP) },
		.req = { .sdiag_family = AF_UNIX,
			 .udiag_states = states,
			 .udiag_ino = ino,
			 .udiag_show = SHOW_ALL,
			 .udiag_cookie = { UINT32_MAX, UINT32_MAX } },
	};

	return send(fd, &msg, sizeof(msg), 0) < 0 ? -errno : 0;
}

typedef int (*each_fn)(const struct unix_info *info, void *arg);

/* One received buffer. 1: more will come, 0: done. */
static int take_answer(const void *buf, size_t len, bool is_dump, each_fn fn, void *arg)
{
	const struct nlmsghdr *head;

	for (head = buf; NLMSG_OK(head, len); head = NLMSG_NEXT(head, len)) {
		const struct nlmsgerr *err = NLMSG_DATA(head);
		struct unix_info info;
		int ret;

		if (head->nlmsg_type == NLMSG_DONE)
			return 0;
		if (head->nlmsg_type == NLMSG_ERROR)
			return NLMSG_PAYLOAD(head, 0) < sizeof(*err) ? -EBADMSG : err->error;
		ret = unix_diag_parse(NLMSG_DATA(head), NLMSG_PAYLOAD(head, 0), &info);
		if (ret)
			return ret;
		ret = fn(&info, arg);
		unix_info_free(&info);
		if (ret || !is_dump)
			return ret;
	}
	return 1;
}

static int query(uint32_t ino, uint32_t states, each_fn fn, void *arg)
{
	scoped_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	scoped_free void *buf = malloc(BUFFER_SIZE);
	int ret;

	if (fd < 0)
		return -errno;
	if (!buf)
		return -ENOMEM;
	ret = send_request(fd, ino, states);
	if (ret)
		return ret;
	do {
		ssize_t len = recv(fd, buf, BUFFER_SIZE, MSG_TRUNC);

		if (len < 0)
			return -errno;
		if (len > BUFFER_SIZE)
			return -EMSGSIZE;
		ret = take_answer(buf, len, !ino, fn, arg);
	} while (ret > 0);
	return ret;
}

static int keep(const struct unix_info *info, void *arg)
{
	struct unix_info *out = arg;

	*out = *info;
	out->waiting = NULL;
	if (!info->nr_waiting)
		return 0;
	out->waiting = calloc(info->nr_waiting, sizeof(uint32_t));
	if (!out->waiting)
		return -ENOMEM;
	memcpy(out->waiting, info->waiting, info->nr_waiting * sizeof(uint32_t));
	return 0;
}

int unix_diag_get(uint32_t ino, struct unix_info *out)
{
	memset(out, 0, sizeof(*out));
	return ino ? query(ino, UINT32_MAX, keep, out) : -ENOENT;
}

int unix_diag_each(uint32_t states, int (*fn)(const struct unix_info *info, void *arg), void *arg)
{
	return query(0, states, fn, arg);
}
