// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "kernel/proc_maps.h"
#include "unit.h"
#include "util/scope.h"

static const char sample[] =
	"555d02306000-555d02307000 rw-p 00003000 fe:00 10961439                   /tmp/a b\\012c\n"
	"Size:                  4 kB\n"
	"KernelPageSize:        4 kB\n"
	"MMUPageSize:           4 kB\n"
	"ProtectionKey:         3\n"
	"VmFlags: rd wr mr mw me ac sd \n"
	"7efde1074000-7efde1084000 ---p 00000000 00:00 0 \n"
	"KernelPageSize:     2048 kB\n"
	"VmFlags: mr gd lo lf dc nr ht wf dd hg nh mg sr rr um sl dp pf io ss \n"
	"7efde0e94000-7efde0ea4000 r-xs 00000000 00:01 1162                       /dev/zero "
	"(deleted)\n"
	"VmFlags: ex\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

static void test_sample(void)
{
	struct proc_vmas vmas;
	const struct proc_vma *vma;

	check_eq(proc_vmas_parse(strdup(sample), &vmas), 0);
	check_eq(vmas.count, 4);
	vma = &vmas.items[0];
	check(vma->start == 0x555d02306000 && vma->end == 0x555d02307000 && vma->pgoff == 0x3000);
	check(vma->prot == (PROT_READ | PROT_WRITE) && !vma->is_shared);
	check(vma->dev == makedev(0xfe, 0) && vma->ino == 10961439);
	check(!strcmp(vma->name, "/tmp/a b\\012c"));
	check(vma->page_size == 4096 && vma->pkey == 3 && vma->flags == VMA_MAY_WRITE);
	vma++;
	check(vma->prot == 0 && vma->page_size == 2 << 20 && !*vma->name);
	check_eq(vma->flags,
		 VMA_GROWS_DOWN | VMA_LOCKED | VMA_LOCK_ON_FAULT | VMA_DONT_COPY | VMA_NO_RESERVE |
			 VMA_HUGETLB | VMA_WIPE_ON_FORK | VMA_DONT_DUMP | VMA_HUGEPAGE |
			 VMA_NO_HUGEPAGE | VMA_MERGEABLE | VMA_SEQUENTIAL | VMA_RANDOM | VMA_UFFD |
			 VMA_SEALED | VMA_DROPPABLE | VMA_PFNMAP | VMA_IO | VMA_SHADOW_STACK);
	vma++;
	check(vma->is_shared && vma->prot == (PROT_READ | PROT_EXEC) && vma->dev == 1);
	check(!strcmp(vma[1].name, "[vsyscall]") && vma[1].end == 0xffffffffff601000);
	proc_vmas_free(&vmas);
}

static void test_damage(void)
{
	static const char *const bad[] = {
		"Size: 4 kB\n",
		"1000-2000\n",
		"1000-2000 rw\n",
		"2000-1000 rw-p 00000000 00:00 0\n",
		"1000-2000 rw-p 00000000 00 0\n",
	};
	struct proc_vmas vmas;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_eq(proc_vmas_parse(strdup(bad[i]), &vmas), -EBADMSG);
	for (size_t cut = 0; cut < sizeof(sample); cut++)
		if (!proc_vmas_parse(strndup(sample, cut), &vmas))
			proc_vmas_free(&vmas);
	check_eq(proc_vmas_parse(strdup(""), &vmas), 0);
	check_eq(vmas.count, 0);
	proc_vmas_free(&vmas);
}

static void test_self(void)
{
	scoped_fd int proc_fd = open("/proc/self", O_RDONLY | O_DIRECTORY);
	struct proc_vmas vmas;
	bool has_stack = false;

	check(proc_fd >= 0);
	check_eq(proc_vmas_read(proc_fd, &vmas), 0);
	for (size_t i = 0; i < vmas.count; i++)
		if (!strcmp(vmas.items[i].name, "[stack]"))
			has_stack = vmas.items[i].flags & VMA_GROWS_DOWN;
	check(has_stack);
	proc_vmas_free(&vmas);
}

int main(void)
{
	test_sample();
	test_damage();
	test_self();
	return 0;
}
