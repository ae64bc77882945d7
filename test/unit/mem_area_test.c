// SPDX-License-Identifier: GPL-2.0
/* Areas as smaps tells them, and what they become. Expected values: images that CRIU 4.2 wrote. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "mem/area.h"
#include "mem/mm_stat.h"
#include "mem/pagemap_flags.h"
#include "unit.h"

enum { SHM_DEV = 1 };

struct expectation {
	const char *smaps;
	uint32_t status, flags;
	uint64_t madv;
	enum mem_backing backing;
	bool has_own_pages, is_lazy;
};

#define ANON "1000-2000 rw-p 00000000 00:00 0 \n"

static const struct expectation good[] = {
	{ ANON "VmFlags: rd wr mr mw me ac \n", 513, 34, 0, MEM_BACKING_NONE, true, true },
	{ ANON "VmFlags: rd wr gd ac \n", 513, 290, 0, MEM_BACKING_NONE, true, true },
	{ ANON "VmFlags: rd wr lo ac \n", 513, 8226, 0, MEM_BACKING_NONE, true, false },
	{ ANON "VmFlags: rd wr nr nh \n", 513, 16418, 1 << 15, MEM_BACKING_NONE, true, true },
	{ ANON "VmFlags: rd wr wf dd dc \n", 513, 34, 1 << 18 | 1 << 16 | 1 << 10, MEM_BACKING_NONE,
	  true, true },
	{ ANON "VmFlags: rd wr mg hg rr \n", 513, 34, 1 << 12 | 1 << 14 | 1 << 1, MEM_BACKING_NONE,
	  true, true },
	{ ANON "VmFlags: rd wr wf dd nr dp \n", 513, 16424, 1 << 18 | 1 << 16, MEM_BACKING_NONE,
	  false, true },
	{ "1000-2000 rw-p 00000000 00:00 0     [heap]\nVmFlags: rd wr ac \n", 545, 34, 0,
	  MEM_BACKING_NONE, true, true },
	{ "1000-2000 rw-p 00000000 00:00 0     [anon:jit]\nVmFlags: rd wr ac \n", 513, 34, 0,
	  MEM_BACKING_NONE, true, true },
	{ "1000-2000 r--p 00000000 00:00 0     [vvar]\nVmFlags: rd mr pf io de dd \n", 4609, 34,
	  1 << 16, MEM_BACKING_NONE, false, false },
	{ "1000-2000 r-xp 00000000 00:00 0     [vdso]\nVmFlags: rd ex de \n", 521, 34, 0,
	  MEM_BACKING_NONE, false, false },
	{ "1000-2000 --xp 00000000 00:00 0     [vsyscall]\nVmFlags: ex \n", 516, 34, 0,
	  MEM_BACKING_NONE, false, false },
	{ "1000-2000 rw-p 00000000 fe:00 12    /bin/a\nVmFlags: rd wr \n", 65, 2, 0,
	  MEM_BACKING_FILE, true, false },
	{ "1000-2000 rw-s 00000000 fe:00 12    /bin/a\nVmFlags: rd wr sh \n", 129, 1, 0,
	  MEM_BACKING_FILE, false, false },
	{ "1000-2000 rw-p 00000000 00:06 4     /dev/zero\nVmFlags: rd wr \n", 65, 2, 0,
	  MEM_BACKING_FILE, true, false },
	{ "1000-2000 rw-s 00000000 00:01 12    /dev/zero (deleted)\nVmFlags: sh \n", 257, 33, 0,
	  MEM_BACKING_SEGMENT, false, false },
	{ "1000-2000 rw-s 00000000 00:01 12    [anon_shmem:x]\nVmFlags: sh \n", 257, 33, 0,
	  MEM_BACKING_SEGMENT, false, false },
	/* Through a descriptor from map_files. */
	{ "1000-2000 rw-p 00000000 00:01 12    /dev/zero (deleted)\nVmFlags: rd \n", 16449, 2, 0,
	  MEM_BACKING_FILE, true, false },
	/* A real file of that name is elsewhere. */
	{ "1000-2000 rw-s 00000000 fe:00 12    /dev/zero (deleted)\nVmFlags: sh \n", 129, 1, 0,
	  MEM_BACKING_FILE, false, false },
	{ "1000-2000 rw-s 00000000 00:01 12    /memfd:a (deleted)\nVmFlags: sh \n", 16513, 1, 0,
	  MEM_BACKING_FILE, false, false },
	{ "1000-2000 rw-p 00000000 00:01 12    /memfd:a (deleted)\nVmFlags: rd \n", 16449, 2, 0,
	  MEM_BACKING_FILE, true, false },
	{ "200000-400000 rw-p 00000000 00:11 9 /anon_hugepage (deleted)\nKernelPageSize: 2048 kB\n"
	  "VmFlags: ht \n",
	  513, 0x54040022, 0, MEM_BACKING_NONE, true, false },
	{ "200000-400000 rw-s 00000000 00:11 9 /anon_hugepage (deleted)\nKernelPageSize: 2048 kB\n"
	  "VmFlags: ht \n",
	  257, 0x54040021, 0, MEM_BACKING_SEGMENT, false, false },
};

static const char *const bad[] = {
	ANON "VmFlags: rd wr um \n",
	ANON "VmFlags: rd wr uw \n",
	ANON "VmFlags: rd wr ss \n",
	ANON "VmFlags: rd wr pf io \n",
	ANON "ProtectionKey: 2\nVmFlags: rd wr \n",
	"1000-2000 rw-s 00000000 00:0f 12    /[aio] (deleted)\nVmFlags: rd wr \n",
	"1000-2000 rw-s 00000000 00:08 12    socket:[12]\nVmFlags: rd wr \n",
	"1000-2000 rw-s 00000000 00:0e 12    anon_inode:[perf_event]\nVmFlags: rd wr \n",
	"1000-2000 --xp 00000000 00:00 0     [uprobes]\nVmFlags: ex \n",
	"1000-2000 rw-s 00000000 00:01 12    /SYSV00000000 (deleted)\nVmFlags: rd wr \n",
	"1000-2000 rw-s 00000000 00:01 12    /drm mm object (deleted)\nVmFlags: rd wr \n",
};

static void classify(const char *smaps, struct proc_vmas *vmas, struct mem_area *area,
		     const char **refusal)
{
	check_eq(proc_vmas_parse(strdup(smaps), vmas), 0);
	check_eq(vmas->count, 1);
	*refusal = mem_area_classify(&vmas->items[0], SHM_DEV, area);
}

static void test_areas(void)
{
	struct proc_vmas vmas;
	struct mem_area area;
	const char *refusal;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct expectation *want = &good[i];

		classify(want->smaps, &vmas, &area, &refusal);
		if (refusal || area.status != want->status || area.flags != want->flags)
			fprintf(stderr, "%s: %s, status %u flags 0x%x\n", want->smaps, refusal,
				area.status, area.flags);
		check(!refusal);
		check_eq(area.status, want->status);
		check_eq(area.flags, want->flags);
		check_eq(area.madv, want->madv);
		check_eq(area.backing, want->backing);
		check_eq(area.has_own_pages, want->has_own_pages);
		check_eq(area.is_lazy, want->is_lazy);
		proc_vmas_free(&vmas);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		classify(bad[i], &vmas, &area, &refusal);
		check(refusal);
		proc_vmas_free(&vmas);
	}
}

static void test_stat(void)
{
	struct mm_stat stat;
	char text[512];
	int len = snprintf(text, sizeof(text), "1 (a) b) R");

	for (int i = 4; i < 53; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, " %d", i * 10);
	check_eq(mm_stat_parse(text, &stat), 0);
	check(stat.start_code == 260 && stat.start_stack == 280 && stat.start_data == 450);
	check(stat.arg_start == 480 && stat.env_end == 510);
	check_eq(mm_stat_parse("1 (a) R 1 2 3", &stat), -EBADMSG);
	check_eq(mm_stat_parse("", &stat), -EBADMSG);
	check_eq(mm_stat_parse("1 (a)", &stat), -EBADMSG);
}

int main(void)
{
	test_areas();
	test_stat();
	return 0;
}
