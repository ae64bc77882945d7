// SPDX-License-Identifier: GPL-2.0
/*
 * Finding a syscall instruction in a task. The vDSO has one in every task, and
 * it is nearly always the same vDSO as ours at an address the auxiliary vector
 * tells; so look at our own and check that the bytes are there. A task whose
 * vDSO was moved, or is another kernel's, has its mappings searched.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/uio.h>
#include <unistd.h>

#include "internal.h"

enum {
	VDSO_MAX = 4 * 4096,	  /* more than any vDSO's code */
	SEARCH_MAX = 1024 * 1024, /* of one mapping */
	SEARCH_CHUNK = 64 * 1024,
};

/* Offset of the first syscall instruction in [code, code + size), or -1. */
static ssize_t code_find(const unsigned char *code, size_t size)
{
	const size_t len = sizeof(arch_syscall_insn);

	for (size_t i = 0; i + len <= size; i += ARCH_SYSCALL_ALIGN)
		if (memcmp(code + i, arch_syscall_insn, len) == 0)
			return i;
	return -1;
}

/* Our own: the end of its executable segment, and where its syscall instruction is. */
static ssize_t own_vdso_find(const unsigned char *vdso)
{
	static ssize_t found; /* 0: not looked for */
	const Elf64_Ehdr *ehdr = (const Elf64_Ehdr *)vdso;
	const Elf64_Phdr *phdr = (const Elf64_Phdr *)(vdso + ehdr->e_phoff);

	if (found)
		return found;
	found = -1;
	for (int i = 0; i < ehdr->e_phnum && found < 0; i++)
		if (phdr[i].p_type == PT_LOAD && phdr[i].p_flags & PF_X)
			found = code_find(vdso + phdr[i].p_offset, phdr[i].p_filesz);
	return found;
}

static uint64_t auxv_vdso(pid_t pid)
{
	Elf64_auxv_t auxv[64];
	char path[32];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, auxv, sizeof(auxv));
	close(fd);
	for (ssize_t i = 0; i < len / (ssize_t)sizeof(auxv[0]); i++)
		if (auxv[i].a_type == AT_SYSINFO_EHDR)
			return auxv[i].a_un.a_val;
	return 0;
}

static bool gadget_from_auxv(pid_t pid, uint64_t *addr)
{
	const unsigned char *own = (const unsigned char *)getauxval(AT_SYSINFO_EHDR);
	unsigned char header[sizeof(Elf64_Ehdr)], insn[sizeof(arch_syscall_insn)];
	struct iovec local[] = { { header, sizeof(header) }, { insn, sizeof(insn) } };
	struct iovec remote[2];
	uint64_t vdso;
	ssize_t offset;

	if (!own)
		return false;
	offset = own_vdso_find(own);
	vdso = auxv_vdso(pid);
	if (offset < 0 || !vdso)
		return false;
	remote[0] = (struct iovec){ (void *)vdso, sizeof(header) };
	remote[1] = (struct iovec){ (void *)(vdso + offset), sizeof(insn) };
	if (process_vm_readv(pid, local, 2, remote, 2, 0) != sizeof(header) + sizeof(insn))
		return false;
	if (memcmp(header, own, sizeof(header)) != 0 ||
	    memcmp(insn, arch_syscall_insn, sizeof(insn)) != 0)
		return false;
	*addr = vdso + offset;
	return true;
}

static bool gadget_in_range(int mem_fd, uint64_t start, uint64_t end, uint64_t *addr)
{
	static unsigned char code[SEARCH_CHUNK];

	if (end - start > SEARCH_MAX)
		end = start + SEARCH_MAX;
	for (uint64_t at = start; at < end; at += sizeof(code) - 2 * ARCH_SYSCALL_ALIGN) {
		size_t want = end - at < sizeof(code) ? end - at : sizeof(code);
		ssize_t len = pread(mem_fd, code, want, (off_t)at);
		ssize_t found = len > 0 ? code_find(code, len) : -1;

		if (found >= 0) {
			*addr = at + found;
			return true;
		}
		if (len < (ssize_t)want || at + want >= end)
			return false;
	}
	return false;
}

/* vdso_only: first look only there, it cannot be unmapped by what the caller does. */
static bool gadget_from_maps(pid_t pid, int mem_fd, bool vdso_only, uint64_t *addr)
{
	char path[32], line[4352];
	bool found = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return false;
	while (!found && fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		char prot[5];

		if (sscanf(line, "%lx-%lx %4s", &start, &end, prot) != 3 || prot[2] != 'x')
			continue;
		if (vdso_only ? !strstr(line, "[vdso]") : !!strstr(line, "[vsyscall]"))
			continue;
		found = gadget_in_range(mem_fd, start, end, addr);
	}
	fclose(maps);
	return found;
}

int compel_find_gadget(pid_t pid, uint64_t *addr)
{
	char path[32];
	bool found;
	int fd;

	if (gadget_from_auxv(pid, addr))
		return 0;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH
				       : compel_fail(-errno, "task %d: open its memory", pid);
	found = gadget_from_maps(pid, fd, true, addr) || gadget_from_maps(pid, fd, false, addr);
	close(fd);
	if (found)
		return 0;
	if (kill(pid, 0) < 0 && errno == ESRCH)
		return -ESRCH;
	return compel_fail(-ENOEXEC, "task %d: no executable mapping holds a syscall instruction",
			   pid);
}
