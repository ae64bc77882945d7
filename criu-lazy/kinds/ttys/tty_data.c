// SPDX-License-Identifier: GPL-2.0
/*
 * Unread data of pty pairs cannot be peeked at, so it is taken and put back: what a task wrote goes
 * through the slave without output processing, what was typed is typed again while no character has
 * a meaning. Line mode stays, for it decides how input is cut into lines. Writing to the master
 * would not do: a kernel worker looks at the bytes at some time later, perhaps under the final
 * settings (and echoes them); TIOCSTI does it at once.
 */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kinds/ttys/tty.h"
#include "util/scope.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
enum { MAX_DATA = 1 << 20, CHUNK = 4096 };

int tty_open_slave(int master)
{
	int fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int take_all(int fd, struct tty_bytes *out)
{
	for (;;) {
		uint8_t *data;
		ssize_t len;

		if (out->len > MAX_DATA)
			return -EFBIG;
		data = realloc(out->data, out->len + CHUNK);
		if (!data)
			return -ENOMEM;
		out->data = data;
		len = read(fd, data + out->len, CHUNK);
		/* EIO: the slave was closed, and all of it is read. */
		if (len < 0)
			return errno == EAGAIN || errno == EIO ? 0 : -errno;
		if (!len)
			return 0;
		out->len += len;
	}
}

static int put_all(int fd, const struct tty_bytes *bytes)
{
	size_t done = 0;

	while (done < bytes->len) {
		ssize_t len = write(fd, bytes->data + done, bytes->len - done);

		if (len < 0)
			return -errno;
		done += len;
	}
	return 0;
}

/* The master is not ours alone: its O_NONBLOCK is set for a while. */
static int take_output(int master, struct tty_bytes *output)
{
	int flags = fcntl(master, F_GETFL), packet = 0, off = 0, ret;

	if (flags < 0 || ioctl(master, TIOCGPKT, &packet))
		return -errno;
	if (packet && ioctl(master, TIOCPKT, &off))
		return -errno;
	if (fcntl(master, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	ret = take_all(master, output);
	if (fcntl(master, F_SETFL, flags) && !ret)
		ret = -errno;
	if (packet && ioctl(master, TIOCPKT, &packet) && !ret)
		ret = -errno;
	return ret;
}

/* Half a line can only be read when there are no lines. */
static int take_input(int slave, struct tty_bytes *input)
{
	struct termios before, raw;
	int ret;

	if (ioctl(slave, TCGETS, &before))
		return -errno;
	raw = before;
	raw.c_lflag &= ~ICANON;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (ioctl(slave, TCSETS, &raw))
		return -errno;
	ret = take_all(slave, input);
	if (ioctl(slave, TCSETS, &before) && !ret)
		ret = -errno;
	return ret;
}

int tty_data_take(int master, int slave, struct tty_bytes *output, struct tty_bytes *input)
{
	return take_output(master, output) ?: take_input(slave, input);
}

/* TIOCSTI needs CAP_SYS_ADMIN for a terminal that is not ours. */
static int type_all(int slave, const struct tty_bytes *bytes)
{
	for (size_t i = 0; i < bytes->len; i++) {
		if (ioctl(slave, TIOCSTI, &bytes->data[i]))
			return -errno;
	}
	return 0;
}

static int put_input(int slave, const struct tty_bytes *input)
{
	struct termios before, plain;
	int ret;

	if (!input->len)
		return 0;
	if (ioctl(slave, TCGETS, &before))
		return -errno;
	plain = before;
	plain.c_iflag = 0;
	plain.c_lflag &= ICANON;
	memset(plain.c_cc, 0, sizeof(plain.c_cc));
	plain.c_cc[VMIN] = 1;
	if (ioctl(slave, TCSETS, &plain))
		return -errno;
	ret = type_all(slave, input);
	if (ioctl(slave, TCSETS, &before) && !ret)
		ret = -errno;
	return ret;
}

static int put_output(int slave, const struct tty_bytes *output)
{
	struct termios before, plain;
	int ret;

	if (!output->len)
		return 0;
	if (ioctl(slave, TCGETS, &before))
		return -errno;
	plain = before;
	plain.c_oflag = 0;
	plain.c_lflag &= ~TOSTOP;
	if (ioctl(slave, TCSETS, &plain))
		return -errno;
	ret = put_all(slave, output);
	if (ioctl(slave, TCSETS, &before) && !ret)
		ret = -errno;
	return ret;
}

int tty_data_put(int slave, const struct tty_bytes *output, const struct tty_bytes *input)
{
	return put_output(slave, output) ?: put_input(slave, input);
}
