/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Terminals. A pty pair is two sides of one index; each side is one tty_info in the images, each
 * description of it a tty file. Supported: pairs whose master is in the tree, /dev/tty, and with
 * --shell-job slaves of the terminal that we are called from.
 */
#ifndef KINDS_TTYS_TTY_H
#define KINDS_TTYS_TTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kinds/kind.h"

enum tty_type { TTY_MASTER, TTY_SLAVE, TTY_CONTROLLING, TTY_OTHER };
/* By device number. */
enum tty_type tty_type_of(dev_t rdev);

/* kind_ops.dump, as kinds/kind.h has it. */
int tty_dump(struct dump *dump, const struct fd_probe *probe, FileEntry *entry);

/* ---- settings, in tty_settings.c; on either side ------------------------- */

/* Fills info with them; its members are from malloc(3). 0 or -errno, not logged. */
int tty_settings_dump(int fd, bool is_master, TtyInfoEntry *info);
/* Termios and window size. Does not stop a background task (SIGTTOU). Not logged. */
int tty_settings_restore(int fd, const TtyInfoEntry *info, bool with_size);
/* c_cc: bytes packed four to a word, as CRIU copies them. Pure. */
enum { TTY_CONTROL_CHARS = 19 };
void tty_chars_pack(const uint8_t chars[TTY_CONTROL_CHARS], uint32_t words[TTY_CONTROL_CHARS]);
void tty_chars_unpack(const uint32_t *words, size_t count, uint8_t chars[TTY_CONTROL_CHARS]);

/* ---- unread data, in tty_data.c ------------------------------------------ */

struct tty_bytes {
	uint8_t *data; /* malloced */
	size_t len;
};
/* Takes what the master (output of tasks) and the slave (typed input, also half a line) would read
 * next. slave: O_NONBLOCK. Settings are as before afterwards. Not logged. */
int tty_data_take(int master, int slave, struct tty_bytes *output, struct tty_bytes *input);
/* Puts it back, so that it is read unchanged. Not logged. */
int tty_data_put(int slave, const struct tty_bytes *output, const struct tty_bytes *input);
/* The other side of a master, O_RDWR, O_NONBLOCK, not made controlling. */
int tty_open_slave(int master);

#endif
