// SPDX-License-Identifier: GPL-2.0
/*
 * netlink(7) sockets: protocol, port id, groups, connected port. Messages in the queue come from
 * the kernel and are about its state then; a socket with unread ones is refused, for the task would
 * wait for an answer that never comes.
 */
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "kinds/families.h"
#include "kinds/fown.h"
#include "kinds/own_fd.h"
#include "kinds/sockets/sk_opts.h"
#include "util/log.h"
#include "util/scope.h"

enum { MAX_GROUP_WORDS = 64, STATE_CONNECTED = 1, STATE_UNCONNECTED = 7 };

static bool netlink_detect(const struct fd_probe *probe)
{
	return S_ISSOCK(probe->st.st_mode) && !strncmp(probe->link, "socket:[", 8) &&
	       sk_get_int(probe->fd, SOL_SOCKET, SO_DOMAIN, -1) == AF_NETLINK;
}

static int dump_groups(int fd, NetlinkSkEntry *nlsk)
{
	uint32_t words[MAX_GROUP_WORDS] = { 0 };
	socklen_t len = sizeof(words);
	size_t count;

	if (getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, words, &len))
		return -errno;
	if (len > sizeof(words))
		return -E2BIG;
	count = len / sizeof(words[0]);
	while (count && !words[count - 1])
		count--;
	if (!count)
		return 0;
	nlsk->groups = malloc(count * sizeof(words[0]));
	if (!nlsk->groups)
		return -ENOMEM;
	memcpy(nlsk->groups, words, count * sizeof(words[0]));
	nlsk->n_groups = count;
	return 0;
}

static int dump_addresses(int fd, NetlinkSkEntry *nlsk)
{
	struct sockaddr_nl local = { 0 }, remote = { 0 };
	socklen_t len = sizeof(local);

	if (getsockname(fd, (struct sockaddr *)&local, &len))
		return -errno;
	nlsk->portid = local.nl_pid;
	len = sizeof(remote);
	if (!getpeername(fd, (struct sockaddr *)&remote, &len)) {
		nlsk->dst_portid = remote.nl_pid;
		nlsk->dst_group = remote.nl_groups;
	}
	nlsk->state = nlsk->dst_portid || nlsk->dst_group ? STATE_CONNECTED : STATE_UNCONNECTED;
	return 0;
}

static int netlink_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	struct pollfd poll_in = { .fd = probe->fd, .events = POLLIN };
	NetlinkSkEntry *nlsk;
	int ret;

	if (poll(&poll_in, 1, 0) > 0 && (poll_in.revents & POLLIN))
		return log_ret(-EOPNOTSUPP, "task %d: fd %d: netlink socket with unread messages",
			       probe->task->pid, probe->number);
	nlsk = message_new(NetlinkSkEntry, netlink_sk_entry);
	if (!nlsk)
		return -ENOMEM;
	entry->nlsk = nlsk;
	nlsk->id = entry->id;
	nlsk->ino = probe->st.st_ino;
	nlsk->protocol = sk_get_int(probe->fd, SOL_SOCKET, SO_PROTOCOL, 0);
	nlsk->flags = probe->flags;
	nlsk->has_ns_id = sk_net_ns_id(dump, &nlsk->ns_id);
	ret = fown_dump(dump, probe, &nlsk->fown);
	ret = ret ?: sk_opts_dump(probe, &nlsk->opts);
	ret = ret ?: dump_addresses(probe->fd, nlsk);
	ret = ret ?: dump_groups(probe->fd, nlsk);
	return ret ? log_ret(ret, "task %d: fd %d: netlink socket", probe->task->pid, probe->number)
		   : 0;
}

static int join_groups(const struct file_object *object, int fd)
{
	const NetlinkSkEntry *nlsk = object->entry->nlsk;

	for (size_t i = 0; i < nlsk->n_groups * 32; i++) {
		int group = i + 1;

		if (!(nlsk->groups[i / 32] & 1u << i % 32))
			continue;
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
			return log_errno("netlink socket %#x: join group %d", object->id, group);
	}
	return 0;
}

static int set_addresses(const struct file_object *object, int fd)
{
	const NetlinkSkEntry *nlsk = object->entry->nlsk;
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_pid = nlsk->portid };

	if (nlsk->portid && bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return log_errno("netlink socket %#x: bind to port %u", object->id, nlsk->portid);
	address.nl_pid = nlsk->dst_portid;
	address.nl_groups = nlsk->dst_group;
	if ((nlsk->dst_portid || nlsk->dst_group) &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return log_errno("netlink socket %#x: connect to port %u", object->id,
				 nlsk->dst_portid);
	return 0;
}

static int netlink_collect(struct restore *restore, struct file_object *object)
{
	if (object->entry->nlsk->n_groups > MAX_GROUP_WORDS)
		return log_ret(-EBADMSG, "netlink socket %#x: %zu words of groups", object->id,
			       object->entry->nlsk->n_groups);
	return 0;
}

static int netlink_open(struct restore *restore, struct file_object *object, int *fd)
{
	const NetlinkSkEntry *nlsk = object->entry->nlsk;
	scoped_fd int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, nlsk->protocol);
	int ret;

	if (sock < 0)
		return log_errno("netlink socket %#x: create, protocol %u", object->id,
				 nlsk->protocol);
	ret = sk_opts_restore_early(sock, "netlink socket", object->id, nlsk->opts);
	ret = ret ?: set_addresses(object, sock);
	ret = ret ?: join_groups(object, sock);
	ret = ret ?: sk_opts_restore(sock, "netlink socket", object->id, nlsk->opts);
	if (ret)
		return ret;
	if (own_fd_set_flags(sock, nlsk->flags))
		return log_errno("netlink socket %#x: set flags %#x", object->id, nlsk->flags);
	*fd = take_fd(&sock);
	return 0;
}

static const FownEntry *netlink_fown(const struct file_object *object)
{
	return object->entry->nlsk->fown;
}

const struct kind_ops netlink_kind = {
	.name = "netlink socket",
	.type = FD_TYPES__NETLINKSK,
	.detect = netlink_detect,
	.dump = netlink_dump,
	.collect = netlink_collect,
	.fown = netlink_fown,
	.open = netlink_open,
};
