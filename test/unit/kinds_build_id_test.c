// SPDX-License-Identifier: GPL-2.0
#include <elf.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kinds/files/build_id.h"
#include "unit.h"

struct image {
	Elf64_Ehdr elf;
	Elf64_Phdr header;
	Elf64_Nhdr other;
	char other_name[4];
	uint8_t other_bytes[8];
	Elf64_Nhdr note;
	char name[4];
	uint8_t id[20];
};

static struct image make(void)
{
	struct image image = {
		.elf = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 1,
			 .e_phoff = sizeof(Elf64_Ehdr) },
		.header = { .p_type = PT_NOTE, .p_offset = offsetof(struct image, other) },
		.other = { .n_namesz = 3, .n_descsz = 7, .n_type = 1 },
		.note = { .n_namesz = 4, .n_descsz = 20, .n_type = NT_GNU_BUILD_ID },
		.name = "GNU",
	};

	image.header.p_filesz = sizeof(image) - image.header.p_offset;
	for (int i = 0; i < 20; i++)
		image.id[i] = (uint8_t)(i + 1);
	return image;
}

static size_t count_of(const void *bytes, size_t len, uint32_t words[BUILD_ID_WORDS])
{
	int fd = memfd_create("elf", MFD_CLOEXEC);
	size_t count = 99;

	check_eq(write(fd, bytes, len), (ssize_t)len);
	check_eq(build_id_read(fd, words, &count), 0);
	close(fd);
	return count;
}

int main(void)
{
	struct image image = make(), bad;
	uint32_t words[BUILD_ID_WORDS];
	unsigned int random = 1;

	check_eq(count_of(&image, sizeof(image), words), 5);
	check_eq(words[0], 0x04030201);
	check_eq(words[4], 0x14131211);
	for (size_t len = 0; len < offsetof(struct image, id) + sizeof(image.id); len++)
		check_eq(count_of(&image, len, words), 0);
	for (int round = 0; round < 5000; round++) {
		bad = image;
		for (int i = 0; i < 3; i++) {
			random = random * 1103515245 + 12345;
			((uint8_t *)&bad)[(random >> 8) % sizeof(bad)] = (uint8_t)(random >> 20);
		}
		check(count_of(&bad, sizeof(bad), words) <= BUILD_ID_WORDS);
	}
	check_eq(count_of("#!/bin/sh\n", 10, words), 0);
	return 0;
}
