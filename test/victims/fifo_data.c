// SPDX-License-Identifier: GPL-2.0
/* Named pipes: data, ends in all directions, flags, two of the same inode by different names. */
#include "victim.h"

#include <sys/stat.h>

int main(int argc, char **argv)
{
	char path[512], other[512], text[64] = "";
	int reader, writer, both, linked, lonely;

	victim_begin(argc, argv);
	victim_path(path, sizeof(path), "fifo");
	victim_path(other, sizeof(other), "fifo2");
	require(!mkfifo(path, 0600) && !link(path, other), "mkfifo");
	reader = open(path, O_RDONLY | O_NONBLOCK);
	writer = open(path, O_WRONLY | O_CLOEXEC);
	both = open(path, O_RDWR);
	linked = open(other, O_RDONLY | O_NONBLOCK);
	require(reader >= 0 && writer >= 0 && both >= 0 && linked >= 0, "open");
	require(write(writer, "0123456789", 10) == 10, "write");
	victim_path(path, sizeof(path), "lonely");
	require(!mkfifo(path, 0600), "mkfifo");
	lonely = open(path, O_RDONLY | O_NONBLOCK);
	require(lonely >= 0, "open");

	victim_ready();

	require(read(reader, text, 3) == 3 && !memcmp(text, "012", 3), "reader");
	require(read(both, text, 3) == 3 && !memcmp(text, "345", 3), "both ways");
	require(read(linked, text, 9) == 4 && !memcmp(text, "6789", 4), "the other name");
	require(read(reader, text, 1) < 0 && errno == EAGAIN, "empty");
	require(write(writer, "x", 1) == 1 && read(linked, text, 9) == 1, "one fifo");
	require(read(lonely, text, 1) == 0, "no writer: end of file");
	victim_pass();
}
