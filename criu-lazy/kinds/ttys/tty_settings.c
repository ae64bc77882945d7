// SPDX-License-Identifier: GPL-2.0
/* Termios, locked termios, window size and modes: ioctl_tty(2). */
#include <asm/termbits.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kinds/ttys/tty.h"
#include "tty.pb-c.h"

_Static_assert(NCCS == TTY_CONTROL_CHARS, "the kernel's number of control characters");

void tty_chars_pack(const uint8_t chars[TTY_CONTROL_CHARS], uint32_t words[TTY_CONTROL_CHARS])
{
	memset(words, 0, TTY_CONTROL_CHARS * sizeof(words[0]));
	memcpy(words, chars, TTY_CONTROL_CHARS);
}

void tty_chars_unpack(const uint32_t *words, size_t count, uint8_t chars[TTY_CONTROL_CHARS])
{
	size_t len = count * sizeof(words[0]);

	memset(chars, 0, TTY_CONTROL_CHARS);
	memcpy(chars, words, len < TTY_CONTROL_CHARS ? len : TTY_CONTROL_CHARS);
}

/* ---- dump ---------------------------------------------------------------- */

static int dump_termios(int fd, unsigned long request, TermiosEntry **out)
{
	TermiosEntry *entry = message_new(TermiosEntry, termios_entry);
	struct termios termios;

	if (!entry)
		return -ENOMEM;
	*out = entry;
	entry->c_cc = calloc(TTY_CONTROL_CHARS, sizeof(entry->c_cc[0]));
	if (!entry->c_cc)
		return -ENOMEM;
	entry->n_c_cc = TTY_CONTROL_CHARS;
	if (ioctl(fd, request, &termios))
		return -errno;
	entry->c_iflag = termios.c_iflag;
	entry->c_oflag = termios.c_oflag;
	entry->c_cflag = termios.c_cflag;
	entry->c_lflag = termios.c_lflag;
	entry->c_line = termios.c_line;
	tty_chars_pack(termios.c_cc, entry->c_cc);
	return 0;
}

static int dump_size(int fd, WinsizeEntry **out)
{
	WinsizeEntry *entry = message_new(WinsizeEntry, winsize_entry);
	struct winsize size;

	if (!entry)
		return -ENOMEM;
	*out = entry;
	if (ioctl(fd, TIOCGWINSZ, &size))
		return -errno;
	entry->ws_row = size.ws_row;
	entry->ws_col = size.ws_col;
	entry->ws_xpixel = size.ws_xpixel;
	entry->ws_ypixel = size.ws_ypixel;
	return 0;
}

int tty_settings_dump(int fd, bool is_master, TtyInfoEntry *info)
{
	int value = 0, ret = dump_termios(fd, TCGETS, &info->termios);

	ret = ret ?: dump_termios(fd, TIOCGLCKTRMIOS, &info->termios_locked);
	ret = ret ?: dump_size(fd, &info->winsize);
	if (ret)
		return ret;
	if (!ioctl(fd, TIOCGEXCL, &value))
		info->exclusive = value;
	if (is_master && !ioctl(fd, TIOCGPTLCK, &value))
		info->locked = value;
	if (is_master && !ioctl(fd, TIOCGPKT, &value))
		info->packet_mode = value;
	return 0;
}

/* ---- restore ------------------------------------------------------------- */

static int set_termios(int fd, unsigned long request, const TermiosEntry *entry)
{
	struct termios termios = {
		.c_iflag = entry->c_iflag,
		.c_oflag = entry->c_oflag,
		.c_cflag = entry->c_cflag,
		.c_lflag = entry->c_lflag,
		.c_line = entry->c_line,
	};

	tty_chars_unpack(entry->c_cc, entry->n_c_cc, termios.c_cc);
	return ioctl(fd, request, &termios) ? -errno : 0;
}

static bool is_locked(const TermiosEntry *entry)
{
	uint8_t chars[TTY_CONTROL_CHARS];

	tty_chars_unpack(entry->c_cc, entry->n_c_cc, chars);
	for (size_t i = 0; i < TTY_CONTROL_CHARS; i++) {
		if (chars[i])
			return true;
	}
	return entry->c_iflag || entry->c_oflag || entry->c_cflag || entry->c_lflag ||
	       entry->c_line;
}

static int set_all(int fd, const TtyInfoEntry *info, bool with_size)
{
	const WinsizeEntry *ws = info->winsize;
	int ret = 0;

	if (info->termios)
		ret = set_termios(fd, TCSETS, info->termios);
	if (!ret && info->termios_locked && is_locked(info->termios_locked))
		ret = set_termios(fd, TIOCSLCKTRMIOS, info->termios_locked);
	if (!ret && with_size && ws) {
		struct winsize size = { ws->ws_row, ws->ws_col, ws->ws_xpixel, ws->ws_ypixel };

		ret = ioctl(fd, TIOCSWINSZ, &size) ? -errno : 0;
	}
	return ret;
}

int tty_settings_restore(int fd, const TtyInfoEntry *info, bool with_size)
{
	sigset_t stop, before;
	int ret;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTTOU);
	sigprocmask(SIG_BLOCK, &stop, &before);
	ret = set_all(fd, info, with_size);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ret;
}
