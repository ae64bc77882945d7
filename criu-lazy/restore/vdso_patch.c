// SPDX-License-Identifier: GPL-2.0
#include "restore/vdso_patch.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "blob_arch.h"

struct vdso_elf {
	const uint8_t *bytes;
	size_t size;
	uint64_t bias; /* virtual address of the first byte */
	const Elf64_Sym *symbols;
	size_t nr_symbols;
	const char *strings;
	size_t strings_size;
};

static bool in_bounds(const struct vdso_elf *elf, uint64_t offset, uint64_t len)
{
	return offset <= elf->size && len <= elf->size - offset;
}

/* Symbols are followed by their strings: the count has no field of its own without DT_HASH. */
static int read_dynamic(struct vdso_elf *elf, const Elf64_Phdr *ph)
{
	uint64_t symtab = 0, strtab = 0, strsz = 0;
	Elf64_Dyn dyn;

	for (uint64_t at = 0; at + sizeof(dyn) <= ph->p_filesz; at += sizeof(dyn)) {
		if (!in_bounds(elf, ph->p_offset + at, sizeof(dyn)))
			return -EBADMSG;
		memcpy(&dyn, elf->bytes + ph->p_offset + at, sizeof(dyn));
		if (dyn.d_tag == DT_NULL)
			break;
		if (dyn.d_tag == DT_SYMTAB)
			symtab = dyn.d_un.d_ptr - elf->bias;
		else if (dyn.d_tag == DT_STRTAB)
			strtab = dyn.d_un.d_ptr - elf->bias;
		else if (dyn.d_tag == DT_STRSZ)
			strsz = dyn.d_un.d_val;
	}
	if (!symtab || strtab <= symtab || symtab % 8 || !strsz ||
	    !in_bounds(elf, symtab, strtab - symtab) || !in_bounds(elf, strtab, strsz) ||
	    elf->bytes[strtab + strsz - 1])
		return -EBADMSG;
	elf->symbols = (const Elf64_Sym *)(elf->bytes + symtab);
	elf->nr_symbols = (strtab - symtab) / sizeof(Elf64_Sym);
	elf->strings = (const char *)elf->bytes + strtab;
	elf->strings_size = strsz;
	return 0;
}

static int read_elf(struct vdso_elf *elf)
{
	Elf64_Phdr ph, dynamic = { 0 };
	Elf64_Ehdr eh;
	bool has_load = false;

	if (elf->size < sizeof(eh))
		return -EBADMSG;
	memcpy(&eh, elf->bytes, sizeof(eh));
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_phentsize != sizeof(ph) || !in_bounds(elf, eh.e_phoff, eh.e_phnum * sizeof(ph)))
		return -EBADMSG;
	for (unsigned int i = 0; i < eh.e_phnum; i++) {
		memcpy(&ph, elf->bytes + eh.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_LOAD && !has_load) {
			elf->bias = ph.p_vaddr - ph.p_offset;
			has_load = true;
		}
		if (ph.p_type == PT_DYNAMIC)
			dynamic = ph;
	}
	return has_load && dynamic.p_type ? read_dynamic(elf, &dynamic) : -EBADMSG;
}

static const char *function_name(const struct vdso_elf *elf, const Elf64_Sym *symbol)
{
	if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx == SHN_UNDEF ||
	    symbol->st_name >= elf->strings_size)
		return NULL;
	return elf->strings + symbol->st_name;
}

static const Elf64_Sym *find_function(const struct vdso_elf *elf, const char *name)
{
	for (size_t i = 0; i < elf->nr_symbols; i++) {
		const char *found = function_name(elf, &elf->symbols[i]);

		if (found && !strcmp(found, name))
			return &elf->symbols[i];
	}
	return NULL;
}

int vdso_patch(uint8_t *image, size_t size, const uint8_t *own, size_t own_size,
	       uint64_t own_address, char missing[64])
{
	struct vdso_elf old = { .bytes = image, .size = size };
	struct vdso_elf new = { .bytes = own, .size = own_size };
	int ret = read_elf(&old);

	if (!ret)
		ret = read_elf(&new);
	for (size_t i = 0; !ret && i < old.nr_symbols; i++) {
		const char *name = function_name(&old, &old.symbols[i]);
		const Elf64_Sym *target = name ? find_function(&new, name) : NULL;
		uint64_t at = old.symbols[i].st_value - old.bias;

		if (!name)
			continue;
		if (!target || !in_bounds(&old, at, ARCH_JUMP_BYTES) ||
		    (old.symbols[i].st_size && old.symbols[i].st_size < ARCH_JUMP_BYTES)) {
			snprintf(missing, 64, "%.63s", name);
			return -EOPNOTSUPP;
		}
		arch_write_jump(image + at, own_address + (target->st_value - new.bias));
	}
	return ret;
}
