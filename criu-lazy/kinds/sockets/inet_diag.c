// SPDX-License-Identifier: GPL-2.0
/* What sock_diag(7) tells of inet sockets, and only it. */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <string.h>
#include <sys/stat.h>

#include "kinds/sockets/inet.h"
#include "util/scope.h"

enum {
	DIAG_BUFFER = 32 * 1024,
	STATE_BOUND_INACTIVE = 1 << 13, /* TCPF_BOUND_INACTIVE, Linux 6.8: bound, and no more */
};

/* What is looked for, and what is found. */
struct search {
	uint32_t ino;
	uint32_t states;
	bool is_found;
	uint8_t shutdown;
};

static int ask(int fd, const InetSkEntry *isk, uint32_t states)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 req;
	} msg = {
		.head = { .nlmsg_len = sizeof(msg),
			  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.req = { .sdiag_family = isk->family,
			 .sdiag_protocol = isk->proto,
			 .idiag_ext = 0,
			 .idiag_states = states },
	};

	/* The port narrows the dump, where the kernel looks at it. */
	msg.req.id.idiag_sport = htons(isk->src_port);
	return send(fd, &msg, sizeof(msg), 0) < 0 ? -errno : 0;
}

/* 1: more will come; 0: done. */
static int take_answer(const void *buf, size_t len, struct search *search)
{
	const struct nlmsghdr *head;

	for (head = buf; NLMSG_OK(head, len); head = NLMSG_NEXT(head, len)) {
		const struct inet_diag_msg *msg = NLMSG_DATA(head);
		const struct rtattr *attr = (const struct rtattr *)(msg + 1);
		size_t left = NLMSG_PAYLOAD(head, sizeof(*msg));

		if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY)
			return 0; /* done, or no such module */
		if (NLMSG_PAYLOAD(head, 0) < sizeof(*msg) || msg->idiag_inode != search->ino)
			continue;
		search->is_found = true;
		for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
			if (attr->rta_type == INET_DIAG_SHUTDOWN && RTA_PAYLOAD(attr) >= 1)
				search->shutdown = *(const uint8_t *)RTA_DATA(attr);
		}
	}
	return 1;
}

static int find(const InetSkEntry *isk, struct search *search)
{
	scoped_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	scoped_free void *buf = malloc(DIAG_BUFFER);
	int ret = fd < 0 ? -errno : buf ? ask(fd, isk, search->states) : -ENOMEM;

	while (!ret) {
		ssize_t len = recv(fd, buf, DIAG_BUFFER, 0);

		if (len <= 0)
			return len ? -errno : -EPIPE;
		if (!take_answer(buf, len, search))
			break;
	}
	return ret;
}

uint8_t inet_diag_shutdown(const InetSkEntry *isk)
{
	struct search search = { .ino = isk->ino, .states = UINT32_MAX };

	return find(isk, &search) ? 0 : search.shutdown;
}

/* ---- who has a port ------------------------------------------------------------ */

socklen_t inet_make_address(const InetSkEntry *isk, const uint32_t *words, uint32_t port,
			    union inet_address *out)
{
	memset(out, 0, sizeof(*out));
	if (isk->family == AF_INET) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(port);
		memcpy(&out->v4.sin_addr, words, 4);
		return sizeof(out->v4);
	}
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(port);
	memcpy(&out->v6.sin6_addr, words, 16);
	if (isk->ifname)
		out->v6.sin6_scope_id = if_nametoindex(isk->ifname);
	return sizeof(out->v6);
}

/* Without SO_REUSEADDR anybody else's hold on the port is in the way, whatever they have set. */
static int bind_another(const InetSkEntry *isk, uint32_t port, int *out)
{
	scoped_fd int fd = socket(isk->family, isk->type | SOCK_CLOEXEC, isk->proto);
	union inet_address address;
	socklen_t len = inet_make_address(isk, isk->src_addr, port, &address);

	if (fd < 0)
		return -errno;
	if (inet_set_freebind(fd, isk->family, 1) || bind(fd, &address.any, len))
		return -errno;
	*out = take_fd(&fd);
	return 0;
}

/* Asked about a socket of ours that is bound. */
static bool kernel_tells_bound(const InetSkEntry *isk)
{
	struct search search = { .states = STATE_BOUND_INACTIVE };
	InetSkEntry ours = *isk;
	scoped_fd int fd = -1;
	struct stat st;

	ours.src_port = 0;
	if (bind_another(isk, 0, &fd) || fstat(fd, &st))
		return false;
	search.ino = st.st_ino;
	return !find(&ours, &search) && search.is_found;
}

bool inet_diag_is_bound(const InetSkEntry *isk)
{
	struct search search = { .ino = isk->ino, .states = STATE_BOUND_INACTIVE };
	scoped_fd int fd = -1;

	if (!find(isk, &search) && search.is_found)
		return true;
	if (kernel_tells_bound(isk))
		return false;
	return bind_another(isk, isk->src_port, &fd) != 0;
}
