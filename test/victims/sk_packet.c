// SPDX-License-Identifier: GPL-2.0
/* packet(7) sockets: device, protocol, options, groups, rings that are not mapped, the old type. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "victim.h"

enum { EXPERIMENTAL = 0x88b5, HEADER = 14 };

static void set(int fd, int option, int value)
{
	require(!setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)), "option %d", option);
}

static int get(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	require(!getsockopt(fd, SOL_PACKET, option, &value, &len), "option %d", option);
	return value;
}

static int bound_to_loopback(int type, int protocol)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons(protocol),
				       .sll_ifindex = (int)if_nametoindex("lo") };
	int fd = socket(AF_PACKET, type, 0);

	require(fd >= 0, "packet socket");
	require(!bind(fd, (void *)&address, sizeof(address)), "bind");
	return fd;
}

static void join(int fd)
{
	struct packet_mreq group = { .mr_ifindex = (int)if_nametoindex("lo"),
				     .mr_type = PACKET_MR_PROMISC };

	require(!setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &group, sizeof(group)), "join");
	require(!setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &group, sizeof(group)), "again");
}

static void leave_twice(int fd)
{
	struct packet_mreq group = { .mr_ifindex = (int)if_nametoindex("lo"),
				     .mr_type = PACKET_MR_PROMISC };
	int leave = PACKET_DROP_MEMBERSHIP;

	require(!setsockopt(fd, SOL_PACKET, leave, &group, sizeof(group)), "leave");
	require(!setsockopt(fd, SOL_PACKET, leave, &group, sizeof(group)), "leave again");
}

/* Of a protocol that nobody else speaks; what others send comes not at all. */
static void hears(int sender, int receiver, size_t header, bool is_expected)
{
	const struct sockaddr_ll to = { .sll_family = AF_PACKET,
					.sll_protocol = htons(EXPERIMENTAL),
					.sll_ifindex = (int)if_nametoindex("lo"),
					.sll_halen = 6 };
	struct pollfd in = { .fd = receiver, .events = POLLIN };
	char text[64] = "packet", got[128] = "";

	while (recv(receiver, got, sizeof(got), MSG_DONTWAIT) >= 0)
		;
	require(sendto(sender, text, sizeof(text), 0, (void *)&to, sizeof(to)) == sizeof(text),
		"send");
	require(poll(&in, 1, is_expected ? 5000 : 50) == is_expected, "poll");
	if (!is_expected)
		return;
	require(recv(receiver, got, sizeof(got), 0) == (ssize_t)(header + sizeof(text)), "receive");
	require(!strcmp(got + header, text), "receive %s", got + header);
}

int main(int argc, char **argv)
{
	struct tpacket_req3 ring = { .tp_block_size = 4 * PAGE,
				     .tp_block_nr = 2,
				     .tp_frame_size = PAGE,
				     .tp_frame_nr = 8,
				     .tp_retire_blk_tov = 60 };
	struct sockaddr_ll name;
	socklen_t len = sizeof(name);
	int receiver, sender, silent, ringed, old;

	victim_begin(argc, argv);
	old = socket(AF_PACKET, SOCK_PACKET, htons(EXPERIMENTAL));
	if (old < 0 && errno == EPERM)
		victim_skip("no CAP_NET_RAW");
	require(old >= 0, "SOCK_PACKET");
	require(!bind(old, &(struct sockaddr){ .sa_family = AF_PACKET, .sa_data = "lo" },
		      sizeof(struct sockaddr)),
		"bind SOCK_PACKET");
	receiver = bound_to_loopback(SOCK_DGRAM, EXPERIMENTAL);
	sender = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	silent = socket(AF_PACKET, SOCK_RAW, 0);
	set(receiver, PACKET_AUXDATA, 1);
	set(receiver, PACKET_ORIGDEV, 1);
	set(silent, PACKET_VNET_HDR, 1);
	set(silent, PACKET_COPY_THRESH, 77);
	join(receiver);
	ringed = socket(AF_PACKET, SOCK_RAW, 0);
	set(ringed, PACKET_VERSION, TPACKET_V3);
	set(ringed, PACKET_RESERVE, 16);
	require(!setsockopt(ringed, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)), "ring");
	hears(sender, receiver, 0, true);
	victim_ready();

	require(!getsockname(receiver, (void *)&name, &len), "name");
	require(name.sll_ifindex == (int)if_nametoindex("lo") &&
			name.sll_protocol == htons(EXPERIMENTAL),
		"device %d, protocol %#x", name.sll_ifindex, name.sll_protocol);
	require(get(receiver, PACKET_AUXDATA) == 1 && get(receiver, PACKET_ORIGDEV) == 1, "of one");
	require(get(silent, PACKET_AUXDATA) == 0 && get(silent, PACKET_VNET_HDR) == 1, "of other");
	require(get(ringed, PACKET_VERSION) == TPACKET_V3 && get(ringed, PACKET_RESERVE) == 16,
		"of rings");
	require(mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, ringed, 0) != MAP_FAILED, "map a ring");
	hears(sender, receiver, 0, true);
	hears(sender, silent, 0, false);
	hears(sender, old, HEADER, true);
	leave_twice(receiver);
	victim_pass();
}
