// SPDX-License-Identifier: GPL-2.0
/* Descriptors in flight: a pipe end nobody else has, one that is held, a file; on a stream and a
 * datagram socket. */
#include <sys/socket.h>

#include "victim.h"

static void send_fds(int sock, const char *text, const int *fds, size_t count)
{
	char control[CMSG_SPACE(4 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { .iov_base = (void *)text, .iov_len = strlen(text) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(head), fds, count * sizeof(int));
	require(sendmsg(sock, &msg, 0) == (ssize_t)strlen(text), "sendmsg");
}

static void receive(int sock, const char *text, int *fds, size_t count)
{
	char control[CMSG_SPACE(4 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	char buf[64] = "";
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *head;
	ssize_t len = recvmsg(sock, &msg, MSG_DONTWAIT);

	require(len == (ssize_t)strlen(text) && !strcmp(buf, text), "received %zd: %s", len, buf);
	head = CMSG_FIRSTHDR(&msg);
	require(head && head->cmsg_type == SCM_RIGHTS &&
			head->cmsg_len == CMSG_LEN(count * sizeof(int)),
		"descriptors");
	memcpy(fds, CMSG_DATA(head), count * sizeof(int));
}

int main(int argc, char **argv)
{
	int stream[2], datagram[2], pipes[2], file, sent[2], got[2];
	char buf[8] = "";

	victim_begin(argc, argv);
	require(!socketpair(AF_UNIX, SOCK_STREAM, 0, stream) &&
			!socketpair(AF_UNIX, SOCK_DGRAM, 0, datagram) && !pipe(pipes),
		"create");
	file = victim_open("file", O_RDWR | O_CREAT);
	require(write(file, "content", 7) == 7 && lseek(file, 3, SEEK_SET) == 3, "write");
	require(write(stream[0], "plain", 5) == 5, "write");
	sent[0] = pipes[1];
	sent[1] = pipes[0];
	send_fds(datagram[0], "pipe", sent, 2);
	send_fds(datagram[0], "file", &file, 1);
	close(file);
	close(pipes[1]);
	victim_ready();

	receive(datagram[1], "pipe", got, 2);
	require(write(got[0], "through", 7) == 7, "write to the pipe");
	require(read(pipes[0], buf, 4) == 4 && read(got[1], buf + 4, 3) == 3 &&
			!memcmp(buf, "through", 7),
		"one pipe");
	receive(datagram[1], "file", got, 1);
	require(read(got[0], buf, 4) == 4 && !memcmp(buf, "tent", 4), "file at its position");
	require(read(stream[1], buf, 5) == 5 && !memcmp(buf, "plain", 5), "plain data");
	victim_pass();
}
