// SPDX-License-Identifier: GPL-2.0
#include "kinds/files/build_id.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "util/scope.h"

enum { HEADERS_MAX = 256, NOTES_MAX = 64 << 10 };

static size_t align4(size_t size)
{
	return (size + 3) & ~(size_t)3;
}

static void take_words(const uint8_t *bytes, size_t len, uint32_t words[BUILD_ID_WORDS],
		       size_t *count)
{
	*count = align4(len) / 4;
	memset(words, 0, *count * sizeof(*words));
	for (size_t i = 0; i < len; i++)
		words[i / 4] |= (uint32_t)bytes[i] << (i % 4 * 8);
}

/* Notes follow each other: header, name, content, each of them padded to four bytes. */
static void find_note(const uint8_t *notes, size_t size, uint32_t words[BUILD_ID_WORDS],
		      size_t *count)
{
	size_t at = 0;

	while (!*count && size - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		size_t left;

		memcpy(&note, notes + at, sizeof(note));
		at += sizeof(note);
		left = size - at;
		if (note.n_namesz > left || align4(note.n_namesz) > left ||
		    note.n_descsz > left - align4(note.n_namesz))
			return;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    !memcmp(notes + at, "GNU", 4) && note.n_descsz &&
		    note.n_descsz <= BUILD_ID_WORDS * 4)
			take_words(notes + at + 4, note.n_descsz, words, count);
		at += align4(note.n_namesz);
		if (align4(note.n_descsz) > size - at)
			return;
		at += align4(note.n_descsz);
	}
}

static int read_notes(int fd, const Elf64_Phdr *header, uint32_t words[BUILD_ID_WORDS],
		      size_t *count)
{
	scoped_free uint8_t *notes = NULL;
	ssize_t got;

	if (header->p_filesz > NOTES_MAX || header->p_offset > INT64_MAX)
		return 0;
	notes = malloc(header->p_filesz + 1);
	if (!notes)
		return -ENOMEM;
	got = pread(fd, notes, header->p_filesz, (off_t)header->p_offset);
	if (got < 0)
		return -errno;
	find_note(notes, (size_t)got, words, count);
	return 0;
}

static bool is_elf64(const Elf64_Ehdr *elf, ssize_t got)
{
	return got == sizeof(*elf) && !memcmp(elf->e_ident, ELFMAG, SELFMAG) &&
	       elf->e_ident[EI_CLASS] == ELFCLASS64 && elf->e_ident[EI_DATA] == ELFDATA2LSB &&
	       elf->e_phentsize == sizeof(Elf64_Phdr) && elf->e_phnum <= HEADERS_MAX &&
	       elf->e_phoff <= INT64_MAX;
}

int build_id_read(int fd, uint32_t words[BUILD_ID_WORDS], size_t *count)
{
	scoped_free Elf64_Phdr *headers = NULL;
	Elf64_Ehdr elf;
	ssize_t got = pread(fd, &elf, sizeof(elf), 0);
	int ret = 0;

	*count = 0;
	if (got < 0)
		return -errno;
	if (!is_elf64(&elf, got))
		return 0;
	headers = calloc(elf.e_phnum + 1u, sizeof(*headers));
	if (!headers)
		return -ENOMEM;
	got = pread(fd, headers, elf.e_phnum * sizeof(*headers), (off_t)elf.e_phoff);
	if (got < 0)
		return -errno;
	for (size_t i = 0; !ret && !*count && i < (size_t)got / sizeof(*headers); i++) {
		if (headers[i].p_type == PT_NOTE)
			ret = read_notes(fd, &headers[i], words, count);
	}
	return ret;
}
