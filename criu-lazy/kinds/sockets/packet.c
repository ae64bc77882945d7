// SPDX-License-Identifier: GPL-2.0
/*
 * packet(7) sockets: what of them is bound where, groups, rings, fanout; all of it from
 * sock_diag(7), which alone tells everything of SOCK_PACKET, too. Packets that were received and
 * not read are as old as the images: they are dropped, as on a full buffer. A mapped ring is an
 * area that the memory dump refuses.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/packet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "kinds/families.h"
#include "kinds/fown.h"
#include "kinds/own_fd.h"
#include "kinds/sockets/sk_opts.h"
#include "util/log.h"
#include "util/scope.h"

enum { DIAG_BUFFER = 32 * 1024, ADDRESS_MAX = 32, GROUPS_MAX = 4096, REPEATS_MAX = 64 };

static bool packet_detect(const struct fd_probe *probe)
{
	return S_ISSOCK(probe->st.st_mode) && !strncmp(probe->link, "socket:[", 8) &&
	       sk_get_int(probe->fd, SOL_SOCKET, SO_DOMAIN, -1) == AF_PACKET;
}

/* ---- dump ---------------------------------------------------------------- */

static void take_info(const struct packet_diag_info *info, PacketSockEntry *psk)
{
	psk->ifindex = info->pdi_index;
	psk->version = info->pdi_version;
	psk->reserve = info->pdi_reserve;
	psk->copy_thresh = info->pdi_copy_thresh;
	psk->timestamp = info->pdi_tstamp;
	psk->aux_data = info->pdi_flags & PDI_AUXDATA;
	psk->orig_dev = info->pdi_flags & PDI_ORIGDEV;
	psk->vnet_hdr = info->pdi_flags & PDI_VNETHDR;
	psk->loss = info->pdi_flags & PDI_LOSS;
}

/* Who joined twice must leave twice. */
static int add_group(const struct packet_diag_mclist *from, PacketSockEntry *psk)
{
	PacketMclist **grown = realloc(psk->mclist, (psk->n_mclist + 1) * sizeof(*grown));
	PacketMclist *group = message_new(PacketMclist, packet_mclist);

	if (grown)
		psk->mclist = grown;
	if (!grown || !group) {
		free(group);
		return -ENOMEM;
	}
	grown[psk->n_mclist++] = group;
	group->index = from->pdmc_index;
	group->type = from->pdmc_type;
	group->addr.len = from->pdmc_alen < ADDRESS_MAX ? from->pdmc_alen : ADDRESS_MAX;
	group->addr.data = malloc(group->addr.len ?: 1);
	if (!group->addr.data)
		return -ENOMEM;
	memcpy(group->addr.data, from->pdmc_addr, group->addr.len);
	return 0;
}

static int take_groups(const struct packet_diag_mclist *groups, size_t len, PacketSockEntry *psk)
{
	int ret = 0;

	for (; len >= sizeof(*groups) && !ret; groups++, len -= sizeof(*groups)) {
		uint32_t count =
			groups->pdmc_count < REPEATS_MAX ? groups->pdmc_count : REPEATS_MAX;

		while (count-- && !ret)
			ret = add_group(groups, psk);
	}
	return ret;
}

static int take_ring(const struct packet_diag_ring *from, PacketRing **out)
{
	PacketRing *ring = message_new(PacketRing, packet_ring);

	if (!ring)
		return -ENOMEM;
	ring->block_size = from->pdr_block_size;
	ring->block_nr = from->pdr_block_nr;
	ring->frame_size = from->pdr_frame_size;
	ring->frame_nr = from->pdr_frame_nr;
	ring->retire_tmo = from->pdr_retire_tmo;
	ring->sizeof_priv = from->pdr_sizeof_priv;
	ring->features = from->pdr_features;
	*out = ring;
	return 0;
}

static int take_attribute(const struct rtattr *attr, PacketSockEntry *psk)
{
	const void *data = RTA_DATA(attr);
	size_t len = RTA_PAYLOAD(attr);

	switch (attr->rta_type) {
	case PACKET_DIAG_INFO:
		if (len >= sizeof(struct packet_diag_info))
			take_info(data, psk);
		return 0;
	case PACKET_DIAG_MCLIST:
		return take_groups(data, len, psk);
	case PACKET_DIAG_RX_RING:
	case PACKET_DIAG_TX_RING:
		if (len < sizeof(struct packet_diag_ring))
			return 0;
		return take_ring(data, attr->rta_type == PACKET_DIAG_RX_RING ? &psk->rx_ring
									     : &psk->tx_ring);
	case PACKET_DIAG_FANOUT:
		psk->has_fanout = len >= sizeof(uint32_t);
		if (psk->has_fanout)
			memcpy(&psk->fanout, data, sizeof(uint32_t));
		return 0;
	default:
		return 0;
	}
}

/* 1: more will come; 0: done; or a negative errno. *is_found: the inode was met. */
static int take_answer(const void *buf, size_t len, uint32_t ino, PacketSockEntry *psk,
		       bool *is_found)
{
	const struct nlmsghdr *head;

	for (head = buf; NLMSG_OK(head, len); head = NLMSG_NEXT(head, len)) {
		const struct packet_diag_msg *msg = NLMSG_DATA(head);
		const struct rtattr *attr = (const struct rtattr *)(msg + 1);
		size_t left = NLMSG_PAYLOAD(head, sizeof(*msg));

		if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY)
			return 0; /* done, or no such module */
		if (NLMSG_PAYLOAD(head, 0) < sizeof(*msg) || msg->pdiag_ino != ino)
			continue;
		*is_found = true;
		psk->protocol = htons(msg->pdiag_num);
		for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
			int ret = take_attribute(attr, psk);

			if (ret)
				return ret;
		}
	}
	return 1;
}

static int ask_diag(uint32_t ino, PacketSockEntry *psk)
{
	struct {
		struct nlmsghdr head;
		struct packet_diag_req req;
	} msg = {
		.head = { .nlmsg_len = sizeof(msg),
			  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.req = { .sdiag_family = AF_PACKET,
			 .pdiag_show = PACKET_SHOW_INFO | PACKET_SHOW_MCLIST |
				       PACKET_SHOW_RING_CFG | PACKET_SHOW_FANOUT },
	};
	scoped_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	scoped_free void *buf = malloc(DIAG_BUFFER);
	bool is_found = false;
	int ret = 1;

	if (!buf)
		return -ENOMEM;
	if (fd < 0 || send(fd, &msg, sizeof(msg), 0) < 0)
		return -errno;
	while (ret > 0) {
		ssize_t len = recv(fd, buf, DIAG_BUFFER, 0);

		if (len <= 0)
			return len ? -errno : -EPIPE;
		ret = take_answer(buf, (size_t)len, ino, psk, &is_found);
	}
	return ret ? ret : is_found ? 0 : -ENOENT;
}

static int packet_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry)
{
	PacketSockEntry *psk = message_new(PacketSockEntry, packet_sock_entry);
	int ret;

	if (!psk)
		return -ENOMEM;
	entry->psk = psk;
	psk->id = entry->id;
	psk->type = (uint32_t)sk_get_int(probe->fd, SOL_SOCKET, SO_TYPE, 0);
	psk->flags = probe->flags;
	psk->has_ns_id = sk_net_ns_id(dump, &psk->ns_id);
	ret = ask_diag((uint32_t)probe->st.st_ino, psk);
	if (ret)
		return log_ret(ret,
			       "task %d: fd %d: packet socket: sock_diag does not tell of it (is "
			       "there a packet_diag module?)",
			       probe->task->pid, probe->number);
	ret = fown_dump(dump, probe, &psk->fown);
	ret = ret ?: sk_opts_dump(probe, &psk->opts);
	return ret ? log_ret(ret, "task %d: fd %d: packet socket", probe->task->pid, probe->number)
		   : 0;
}

/* ---- restore ------------------------------------------------------------- */

static int packet_collect(struct restore *restore, struct file_object *object)
{
	const PacketSockEntry *psk = object->entry->psk;

	if (psk->protocol > UINT16_MAX || psk->ifindex > INT32_MAX || psk->n_mclist > GROUPS_MAX)
		return log_ret(-EBADMSG, "packet socket %#x: absurd protocol, device or groups",
			       object->id);
	for (size_t i = 0; i < psk->n_mclist; i++) {
		if (psk->mclist[i]->addr.len > ADDRESS_MAX || psk->mclist[i]->type > UINT16_MAX)
			return log_ret(-EBADMSG, "packet socket %#x: absurd group", object->id);
	}
	return 0;
}

static int set_int(const struct file_object *object, int fd, int option, const char *name,
		   uint32_t value)
{
	if (value && setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)))
		return log_errno("packet socket %#x: set %s to %u", object->id, name, value);
	return 0;
}

#define SET(object, fd, name, value) set_int(object, fd, name, #name, value)

static int set_options(const struct file_object *object, int fd)
{
	const PacketSockEntry *psk = object->entry->psk;
	int ret = SET(object, fd, PACKET_VERSION, psk->version);

	ret = ret ?: SET(object, fd, PACKET_RESERVE, psk->reserve);
	ret = ret ?: SET(object, fd, PACKET_AUXDATA, psk->aux_data);
	ret = ret ?: SET(object, fd, PACKET_ORIGDEV, psk->orig_dev);
	ret = ret ?: SET(object, fd, PACKET_VNET_HDR, psk->vnet_hdr);
	ret = ret ?: SET(object, fd, PACKET_LOSS, psk->loss);
	ret = ret ?: SET(object, fd, PACKET_TIMESTAMP, psk->timestamp);
	return ret ?: SET(object, fd, PACKET_COPY_THRESH, psk->copy_thresh);
}

/* The kernel reads as much as its version of rings has. */
static int set_ring(const struct file_object *object, int fd, int option, const PacketRing *ring)
{
	bool is_v3 = object->entry->psk->version == TPACKET_V3;

	if (!ring)
		return 0;
	const struct tpacket_req3 req = {
		.tp_block_size = ring->block_size,
		.tp_block_nr = ring->block_nr,
		.tp_frame_size = ring->frame_size,
		.tp_frame_nr = ring->frame_nr,
		.tp_retire_blk_tov = ring->retire_tmo,
		.tp_sizeof_priv = ring->sizeof_priv,
		.tp_feature_req_word = ring->features,
	};

	if (setsockopt(fd, SOL_PACKET, option, &req,
		       is_v3 ? sizeof(req) : sizeof(struct tpacket_req)))
		return log_errno("packet socket %#x: ring of %u blocks", object->id,
				 ring->block_nr);
	return 0;
}

static int join_groups(const struct file_object *object, int fd)
{
	const PacketSockEntry *psk = object->entry->psk;

	for (size_t i = 0; i < psk->n_mclist; i++) {
		struct {
			int ifindex;
			uint16_t type, len;
			uint8_t address[ADDRESS_MAX];
		} group = { .ifindex = (int)psk->mclist[i]->index,
			    .type = (uint16_t)psk->mclist[i]->type,
			    .len = (uint16_t)psk->mclist[i]->addr.len };

		if (group.len)
			memcpy(group.address, psk->mclist[i]->addr.data, group.len);
		if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &group, sizeof(group)))
			return log_errno("packet socket %#x: join group %zu on device %d",
					 object->id, i, group.ifindex);
	}
	return 0;
}

/* SOCK_PACKET got its protocol with its creation, and takes the name of a device. */
static int bind_device(const struct file_object *object, int fd)
{
	const PacketSockEntry *psk = object->entry->psk;
	struct sockaddr old = { .sa_family = AF_PACKET };
	const struct sockaddr_ll address = { .sll_family = AF_PACKET,
					     .sll_protocol = (uint16_t)psk->protocol,
					     .sll_ifindex = (int)psk->ifindex };
	char name[IF_NAMESIZE] = "";
	int ret;

	if (!psk->ifindex && (!psk->protocol || psk->type == SOCK_PACKET))
		return 0;
	if (psk->type == SOCK_PACKET) {
		if (!if_indextoname(psk->ifindex, name))
			return log_errno("packet socket %#x: device %u", object->id, psk->ifindex);
		memcpy(old.sa_data, name, strnlen(name, sizeof(old.sa_data) - 1));
		ret = bind(fd, &old, sizeof(old));
	} else {
		ret = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	}
	return ret ? log_errno("packet socket %#x: bind to device %u", object->id, psk->ifindex)
		   : 0;
}

/* It hears nothing before it is bound: filters and rings come first. */
static int packet_open(struct restore *restore, struct file_object *object, int *fd)
{
	const PacketSockEntry *psk = object->entry->psk;
	int protocol = psk->type == SOCK_PACKET ? (int)psk->protocol : 0;
	scoped_fd int sock = socket(AF_PACKET, (int)psk->type | SOCK_CLOEXEC, protocol);
	int ret;

	if (sock < 0)
		return log_errno("packet socket %#x: create, type %u", object->id, psk->type);
	ret = sk_opts_restore_early(sock, "packet socket", object->id, psk->opts);
	ret = ret ?: sk_opts_restore(sock, "packet socket", object->id, psk->opts);
	ret = ret ?: set_options(object, sock);
	ret = ret ?: set_ring(object, sock, PACKET_RX_RING, psk->rx_ring);
	ret = ret ?: set_ring(object, sock, PACKET_TX_RING, psk->tx_ring);
	ret = ret ?: bind_device(object, sock);
	ret = ret ?: join_groups(object, sock);
	if (ret)
		return ret;
	if (psk->has_fanout && psk->fanout != UINT32_MAX &&
	    setsockopt(sock, SOL_PACKET, PACKET_FANOUT, &psk->fanout, sizeof(psk->fanout)))
		return log_errno("packet socket %#x: fanout %#x", object->id, psk->fanout);
	if (own_fd_set_flags(sock, psk->flags))
		return log_errno("packet socket %#x: set flags %#x", object->id, psk->flags);
	*fd = take_fd(&sock);
	return 0;
}

static const FownEntry *packet_fown(const struct file_object *object)
{
	return object->entry->psk->fown;
}

const struct kind_ops packet_kind = {
	.name = "packet socket",
	.type = FD_TYPES__PACKETSK,
	.detect = packet_detect,
	.dump = packet_dump,
	.collect = packet_collect,
	.fown = packet_fown,
	.open = packet_open,
};
