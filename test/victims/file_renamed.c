// SPDX-License-Identifier: GPL-2.0
/* Names that have changed, and names that look like those of deleted files. */
#include "victim.h"

int main(int argc, char **argv)
{
	char from[512], to[512], text[16] = "";
	int moved, literal;

	victim_begin(argc, argv);
	moved = victim_open("old", O_RDWR | O_CREAT);
	require(write(moved, "moved", 5) == 5, "write");
	victim_path(from, sizeof(from), "old");
	victim_path(to, sizeof(to), "new");
	require(!rename(from, to), "rename");
	literal = victim_open("name (deleted)", O_RDWR | O_CREAT);
	require(write(literal, "literal", 7) == 7, "write");

	victim_ready();

	require(pread(moved, text, 5, 0) == 5 && !memcmp(text, "moved", 5), "moved");
	require(pread(literal, text, 7, 0) == 7 && !memcmp(text, "literal", 7), "literal");
	require(write(moved, "!", 1) == 1, "write");
	moved = victim_open("new", O_RDONLY);
	require(read(moved, text, 16) == 6, "it is still the file of that name");
	victim_pass();
}
