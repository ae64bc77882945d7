// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <sys/sysmacros.h>

#include "kinds/ttys/tty.h"
#include "unit.h"

int main(void)
{
	uint8_t chars[TTY_CONTROL_CHARS], back[TTY_CONTROL_CHARS];
	uint32_t words[TTY_CONTROL_CHARS];

	for (int i = 0; i < TTY_CONTROL_CHARS; i++)
		chars[i] = i + 1;
	tty_chars_pack(chars, words);
	check_eq(words[0], 0x04030201);
	check_eq(words[4], 0x131211);
	check_eq(words[5], 0);
	tty_chars_unpack(words, TTY_CONTROL_CHARS, back);
	check(!memcmp(chars, back, sizeof(chars)));
	tty_chars_unpack(words, 1, back);
	check(back[3] == 4 && back[4] == 0);
	tty_chars_unpack(words, 0, back);
	check_eq(back[0], 0);

	check_eq(tty_type_of(makedev(136, 3)), TTY_SLAVE);
	check_eq(tty_type_of(makedev(143, 0)), TTY_SLAVE);
	check_eq(tty_type_of(makedev(5, 2)), TTY_MASTER);
	check_eq(tty_type_of(makedev(5, 0)), TTY_CONTROLLING);
	check_eq(tty_type_of(makedev(5, 1)), TTY_OTHER);
	check_eq(tty_type_of(makedev(4, 64)), TTY_OTHER);
	return 0;
}
