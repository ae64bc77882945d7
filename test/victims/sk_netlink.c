// SPDX-License-Identifier: GPL-2.0
/* A new netlink socket, and a bound one in two groups. */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "victim.h"

int main(int argc, char **argv)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK }, after = { 0 };
	socklen_t len = sizeof(address);
	int fresh, bound;

	victim_begin(argc, argv);
	fresh = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	bound = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE);
	address.nl_groups = RTMGRP_NEIGH | RTMGRP_IPV4_RULE;
	require(fresh >= 0 && !bind(bound, (void *)&address, len) &&
			!getsockname(bound, (void *)&address, &len),
		"bind");
	victim_ready();
	require(!getsockname(bound, (void *)&after, &len) &&
			!memcmp(&address, &after, sizeof(after)),
		"port %u, groups %#x", after.nl_pid, after.nl_groups);
	address.nl_groups = 0;
	address.nl_pid = 0;
	require(!bind(fresh, (void *)&address, sizeof(address)), "bind the new one");
	victim_pass();
}
