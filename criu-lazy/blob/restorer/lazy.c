// SPDX-License-Identifier: GPL-2.0
/*
 * The lazy hand-over (lazy/protocol.h). The userfaultfd binds to the address space of whoever
 * creates it, so it is made here; the UFFDIO_API handshake is the daemon's, which may be more
 * privileged (UFFD.md 28, 29).
 */
#include <linux/types.h>

#include "blob/restorer/restorer.h"
#include "blob/syscall.h"
#include "lazy/protocol.h"

enum {
	FLAG_CLOEXEC = 02000000,
	FLAG_NONBLOCK = 04000,
	USERFAULTFD_NEW = 0xaa00, /* USERFAULTFD_IOC_NEW */
	MESSAGE_NOSIGNAL = 0x4000,
	SOCKET_LEVEL = 1,
	RIGHTS = 1, /* SCM_RIGHTS */
};

/* struct msghdr, struct cmsghdr and struct iovec as the kernel takes them on 64-bit machines. */
struct wire_iovec {
	uint64_t base, len;
};

struct wire_control {
	uint64_t len;
	int32_t level, type;
	int32_t fd, pad;
};

struct wire_message {
	uint64_t name;
	uint32_t name_len, pad;
	uint64_t iov, iov_count;
	uint64_t control, control_len;
	uint32_t flags, pad2;
};

static int make_uffd(struct runner *runner, const struct restorer_call *call)
{
	int32_t device = (int32_t)call->args[3];
	long fd = blob_call1(__NR_userfaultfd, FLAG_CLOEXEC | FLAG_NONBLOCK);

	if (fd < 0 && device >= 0)
		fd = blob_call3(__NR_ioctl, device, USERFAULTFD_NEW, FLAG_CLOEXEC | FLAG_NONBLOCK);
	if (fd < 0)
		runner_fail(runner, call, RESTORER_WHAT_UFFD, fd);
	return (int)fd;
}

/* The descriptor goes with the first byte. */
static void send_hello(struct runner *runner, const struct restorer_call *call, int fd)
{
	struct wire_control control = {
		.len = 20, .level = SOCKET_LEVEL, .type = RIGHTS, .fd = fd
	};
	uint64_t sent = 0;

	while (sent < call->args[2]) {
		struct wire_iovec iov = { call->args[1] + sent, call->args[2] - sent };
		struct wire_message message = { .iov = (uintptr_t)&iov, .iov_count = 1 };
		long ret;

		if (!sent && fd >= 0) {
			message.control = (uintptr_t)&control;
			message.control_len = sizeof(control);
		}
		ret = blob_call3(__NR_sendmsg, call->args[0], (uintptr_t)&message,
				 MESSAGE_NOSIGNAL);
		if (ret == -4 /* EINTR */)
			continue;
		if (ret <= 0)
			runner_fail(runner, call, call->what, ret ? ret : -32 /* EPIPE */);
		sent += ret;
	}
}

static void wait_ack(struct runner *runner, const struct restorer_call *call)
{
	struct lazy_ack ack = { 0 };
	uint64_t got = 0;

	while (got < sizeof(ack)) {
		long ret = blob_call3(__NR_read, call->args[0], (uintptr_t)&ack + got,
				      sizeof(ack) - got);

		if (ret == -4 /* EINTR */)
			continue;
		if (ret <= 0)
			runner_fail(runner, call, RESTORER_WHAT_LAZY_ACK,
				    ret ? ret : -32 /* EPIPE */);
		got += ret;
	}
	if (ack.magic != LAZY_HELLO_MAGIC)
		runner_fail(runner, call, RESTORER_WHAT_LAZY_ACK, -71 /* EPROTO */);
	if (ack.status)
		runner_fail(runner, call, RESTORER_WHAT_LAZY_ACK, ack.status);
}

void lazy_hand_over(struct runner *runner, const struct restorer_call *call)
{
	int fd = call->args[4] ? make_uffd(runner, call) : -1;

	send_hello(runner, call, fd);
	wait_ack(runner, call);
	if (fd >= 0)
		blob_call1(__NR_close, fd);
	blob_call1(__NR_close, call->args[0]);
	if ((int32_t)call->args[3] >= 0)
		blob_call1(__NR_close, call->args[3]);
}
