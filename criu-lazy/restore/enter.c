// SPDX-License-Identifier: GPL-2.0
/*
 * A task's last steps as hosted code: descriptors, working directory, then the region with the
 * blob, its lists and its stacks, and the jump into it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "blob_arch.h"
#include "kinds/kind.h"
#include "restore/compose.h"
#include "restore/hole.h"
#include "restore/inherit.h"
#include "restore/own_maps.h"
#include "restore/sharing.h"
#include "restorer-blob.h"
#include "task/task_restore.h"
#include "util/log.h"
#include "util/scope.h"

enum {
	STACK_BYTES = 16384,
	GROWSDOWN_GAP = 2 << 20, /* more than the kernel's stack_guard_gap of 256 pages */
	REGION_BASE_BYTES = 512 << 10,
	REGION_PER_VMA = 512,
	REGION_PER_EXTENT = 32,
	REGION_PER_THREAD = STACK_BYTES + 8192,
	FIRST_ADDRESS = 0x100000,
};

static uint64_t round_page(uint64_t size)
{
	return (size + REGION_PAGE - 1) & ~(uint64_t)(REGION_PAGE - 1);
}

static int open_fixed(struct compose *compose)
{
	struct restore_task *rt = compose->task->restore;
	const struct {
		uint32_t id;
		int flags;
	} files[] = {
		[KEEP_EXE] = { rt->mm->exe_file_id, O_RDONLY | O_CLOEXEC },
		[KEEP_CWD] = { rt->fs->cwd_id, O_PATH | O_DIRECTORY | O_CLOEXEC },
		[KEEP_ROOT] = { rt->fs->root_id, O_PATH | O_DIRECTORY | O_CLOEXEC },
	};

	for (int i = 0; i < KEEP_FIXED; i++)
		compose->fixed[i] = -1;
	if (compose->restore->opts->lazy_pages) {
		compose->fixed[KEEP_LAZY] = fcntl(rt->lazy_socket, F_DUPFD_CLOEXEC, 0);
		compose->fixed[KEEP_UFFD_DEVICE] = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		int ret = files_open_path(compose->restore, files[i].id, files[i].flags,
					  &compose->fixed[i]);

		if (ret)
			return ret;
	}
	return 0;
}

static void close_directories(const struct compose *compose)
{
	close(compose->fixed[KEEP_ROOT]);
	close(compose->fixed[KEEP_CWD]);
}

/* Where the task was: root directory first, then the working directory. */
static int enter_directories(struct compose *compose)
{
	const FsEntry *fs = compose->task->restore->fs;
	struct stat ours, its;
	int ret;

	if (fstat(compose->fixed[KEEP_ROOT], &its) < 0 || stat("/", &ours) < 0)
		return log_errno("task %d: root directory", compose->task->pid);
	if ((its.st_dev != ours.st_dev || its.st_ino != ours.st_ino) &&
	    (fchdir(compose->fixed[KEEP_ROOT]) < 0 || chroot(".") < 0))
		return log_errno("task %d: change root directory", compose->task->pid);
	ret = files_chdir(compose->restore, fs->cwd_id, compose->fixed[KEEP_CWD]);
	if (ret)
		return ret;
	if (fs->has_umask)
		umask(fs->umask);
	close_directories(compose);
	return 0;
}

static int install_files(struct compose *compose)
{
	size_t count = KEEP_FIXED + compose->nr_maps + compose->nr_pages, n = 0;
	scoped_free int **keep = calloc(count, sizeof(*keep));

	if (!keep)
		return -ENOMEM;
	for (int i = 0; i < KEEP_FIXED; i++) {
		if (compose->fixed[i] >= 0)
			keep[n++] = &compose->fixed[i];
	}
	for (size_t i = 0; i < compose->nr_maps; i++)
		keep[n++] = &compose->maps[i].fd;
	for (size_t i = 0; i < compose->nr_pages; i++)
		keep[n++] = &compose->pages[i].fd;
	return files_install(compose->restore, compose->task, keep, n);
}

/* What the region must stay clear of: what we have mapped, and what the task will have. */
static int find_place(struct compose *compose, uint64_t size, uint64_t *place)
{
	const MmEntry *mm = compose->task->restore->mm;
	struct hole_area *areas = NULL;
	size_t count = 0;
	int ret = own_maps_read(&areas, &count, mm->n_vmas + 1);

	if (ret)
		return ret;
	for (size_t i = 0; i < mm->n_vmas; i++) {
		const VmaEntry *vma = mm->vmas[i];
		uint64_t gap = vma->flags & MAP_GROWSDOWN ? GROWSDOWN_GAP : 0;

		areas[count].start = vma->start > gap ? vma->start - gap : 0;
		areas[count++].end = vma->end;
	}
	if (compose->task->restore->vdso) {
		areas[count].start = compose->task->restore->vdso_address;
		areas[count].end = areas[count].start + own_vdso_bytes(compose->restore->vdso);
		count++;
	}
	*place = hole_find(areas, count, size, FIRST_ADDRESS, ARCH_MAP_TOP);
	free(areas);
	if (*place)
		return 0;
	return log_ret(-ENOMEM, "task %d: no room for the restorer in its address space",
		       compose->task->pid);
}

static int make_region(struct compose *compose)
{
	struct restore_task *rt = compose->task->restore;
	uint64_t code = round_page(restorer_blob_size), park = 0, total, place;
	uint64_t size = REGION_BASE_BYTES + rt->mm->n_vmas * REGION_PER_VMA +
			compose->task->nr_threads * REGION_PER_THREAD +
			rt->lazy.nr_ranges * sizeof(*rt->lazy.ranges) +
			rt->lazy.nr_eager * sizeof(*rt->lazy.eager);
	void *map;
	int ret;

	if (rt->pages)
		size += page_source_extent_count(rt->pages) * REGION_PER_EXTENT;
	size += fill_bytes(compose);
	size = round_page(size + task_restore_bytes(compose->restore, compose->task));
	park = own_vdso_bytes(compose->restore->vdso);
	total = code + size + round_page(compose->restore->shared->size) + park +
		RESTORER_WINDOW_BYTES;
	ret = find_place(compose, total, &place);
	if (ret)
		return ret;
	map = mmap((void *)(uintptr_t)place, total, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return log_errno("task %d: map the restorer", compose->task->pid);
	memcpy(map, restorer_blob, restorer_blob_size);
	if (mprotect(map, code, PROT_READ | PROT_EXEC) < 0)
		return log_errno("task %d: protect the restorer", compose->task->pid);
	compose->region =
		(struct region){ .start = place, .size = total, .used = code, .end = code + size };
	compose->shared = place + code + size;
	compose->park = compose->shared + round_page(compose->restore->shared->size);
	compose->region_end = place + total;
	compose->restore->shared->tasks[rt->index].region = place;
	compose->restore->shared->tasks[rt->index].region_len = total;
	return 0;
}

static void unmap_between(struct compose *compose, uint64_t start, uint64_t end)
{
	if (start < end)
		calls_must(&compose->calls, RESTORER_WHAT_UNMAP, SYS_munmap, start, end - start);
}

/* All but the region and what is in place already. */
static void unmap_ours(struct compose *compose)
{
	const struct restore_task *rt = compose->task->restore;
	uint64_t at = 0, start = compose->region.start, end = compose->region_end;
	bool is_region_kept = false;

	for (size_t i = 0; i < rt->mm->n_vmas; i++) {
		const VmaEntry *vma = rt->mm->vmas[i];

		if (!inherit_holds(rt, i))
			continue;
		if (!is_region_kept && vma->start > start) {
			unmap_between(compose, at, start);
			at = end;
			is_region_kept = true;
		}
		unmap_between(compose, at, vma->start);
		at = vma->end;
	}
	if (!is_region_kept) {
		unmap_between(compose, at, start);
		at = end;
	}
	unmap_between(compose, at, ARCH_MAP_TOP);
}

static void hand_over_lazy(struct compose *compose)
{
	const struct restore *restore = compose->restore;
	const struct lazy_plan *plan = &compose->task->restore->lazy;
	size_t len = sizeof(struct lazy_hello) + plan->nr_ranges * sizeof(*plan->ranges) +
		     plan->nr_eager * sizeof(*plan->eager);
	struct lazy_hello *hello = region_alloc(&compose->region, len);
	uint8_t *tail = (uint8_t *)(hello + 1);

	if (!hello)
		return;
	*hello = (struct lazy_hello){
		.magic = LAZY_HELLO_MAGIC,
		.version = LAZY_PROTOCOL_VERSION,
		.pid = compose->task->pid,
		.host_pid_hint = compose->task->host_pid,
		.nr_ranges = plan->nr_ranges,
		.nr_eager = plan->nr_eager,
		.nr_tasks = restore->nr_alive,
	};
	if (plan->nr_ranges)
		memcpy(tail, plan->ranges, plan->nr_ranges * sizeof(*plan->ranges));
	if (plan->nr_eager)
		memcpy(tail + plan->nr_ranges * sizeof(*plan->ranges), plan->eager,
		       plan->nr_eager * sizeof(*plan->eager));
	calls_must(&compose->calls, RESTORER_WHAT_LAZY, RESTORER_OP_LAZY, compose->fixed[KEEP_LAZY],
		   hello, len, compose->fixed[KEEP_UFFD_DEVICE], plan->nr_ranges > 0);
}

static int set_mm_fields(struct compose *compose)
{
	const MmEntry *mm = compose->task->restore->mm;
	struct prctl_mm_map map = {
		.start_code = mm->mm_start_code,
		.end_code = mm->mm_end_code,
		.start_data = mm->mm_start_data,
		.end_data = mm->mm_end_data,
		.start_brk = mm->mm_start_brk,
		.brk = mm->mm_brk,
		.start_stack = mm->mm_start_stack,
		.arg_start = mm->mm_arg_start,
		.arg_end = mm->mm_arg_end,
		.env_start = mm->mm_env_start,
		.env_end = mm->mm_env_end,
		.auxv_size = mm->n_mm_saved_auxv * sizeof(*mm->mm_saved_auxv),
		.exe_fd = compose->fixed[KEEP_EXE],
	};
	uint64_t auxv = region_copy(&compose->region, mm->mm_saved_auxv, map.auxv_size);

	map.auxv = (void *)(uintptr_t)auxv;
	calls_must(&compose->calls, RESTORER_WHAT_MM, SYS_prctl, PR_SET_MM, PR_SET_MM_MAP,
		   region_copy(&compose->region, &map, sizeof(map)), sizeof(map), 0);
	calls_try(&compose->calls, RESTORER_WHAT_CLOSE, SYS_close, compose->fixed[KEEP_EXE]);
	return 0;
}

static const char *thread_comm(const CoreEntry *leader, const CoreEntry *core)
{
	if (core->thread_core->comm)
		return core->thread_core->comm;
	return leader->tc->comm;
}

static int compose_threads(struct compose *compose, struct restorer_args *args)
{
	struct task *task = compose->task;
	size_t count = task->nr_threads - 1;
	struct restorer_thread *threads = region_alloc(&compose->region, count * sizeof(*threads));
	int ret = 0;

	if (!threads)
		return 0; /* the region remembers */
	args->threads = (uintptr_t)threads;
	args->nr_threads = count;
	for (size_t i = 0; i < count && !ret; i++) {
		const CoreEntry *core = task->restore->cores[i + 1];
		struct restorer_thread *thread = &threads[i];
		struct calls calls = { 0 };

		thread->args = (uintptr_t)args;
		thread->tid = task->threads[i + 1].tid;
		thread->stack_size = STACK_BYTES;
		thread->stack = (uintptr_t)region_alloc(&compose->region, STACK_BYTES);
		ret = compose_thread(compose, &calls, core, thread->tid,
				     thread_comm(task->restore->cores[0], core));
		if (!ret)
			ret = compose_credentials(compose, &calls, core);
		calls_must(&calls, RESTORER_WHAT_THREAD, RESTORER_OP_JOIN, 0);
		if (!ret)
			ret = calls_store(&calls, &compose->region, &thread->calls,
					  &thread->nr_calls);
		calls_fini(&calls);
	}
	return ret;
}

/* The whole of a restore, in order. */
static int compose_all(struct compose *compose, struct restorer_args *args)
{
	struct task *task = compose->task;
	const CoreEntry *core = task->restore->cores[0];
	int ret = compose_vdso_park(compose);

	if (log_fd() >= 0)
		calls_try(&compose->calls, RESTORER_WHAT_CLOSE, SYS_close, log_fd());
	unmap_ours(compose);
	if (task->restore->mm->has_thp_disabled && task->restore->mm->thp_disabled)
		calls_must(&compose->calls, RESTORER_WHAT_PRCTL, SYS_prctl, PR_SET_THP_DISABLE, 1);
	if (!ret)
		ret = compose_mem(compose);
	if (!ret)
		ret = compose_vdso_place(compose);
	if (compose->restore->opts->lazy_pages)
		hand_over_lazy(compose);
	if (!ret)
		ret = set_mm_fields(compose);
	if (!ret)
		ret = compose_sigactions(compose);
	compose_locks(compose);
	if (!ret)
		ret = compose_threads(compose, args);
	if (args->nr_threads)
		calls_must(&compose->calls, RESTORER_WHAT_THREAD, RESTORER_OP_THREADS, 0);
	if (!ret)
		ret = compose_thread(compose, &compose->calls, core, task->pid,
				     thread_comm(core, core));
	if (!ret)
		ret = compose_process(compose);
	if (!ret)
		ret = compose_credentials(compose, &compose->calls, core);
	calls_must(&compose->calls, RESTORER_WHAT_THREAD, RESTORER_OP_JOIN, 0);
	if (task->restore->mm->has_dumpable && task->restore->mm->dumpable <= 1)
		calls_must(&compose->calls, RESTORER_WHAT_PRCTL, SYS_prctl, PR_SET_DUMPABLE,
			   task->restore->mm->dumpable);
	if (!ret)
		ret = calls_store(&compose->calls, &compose->region, &args->calls, &args->nr_calls);
	return ret;
}

/* glibc has registered an rseq area that is about to be unmapped; the kernel would kill us for it.
 */
static int forget_rseq(const struct task *task)
{
	static const unsigned int sizes[] = { 32, 0 };
	char *area = (char *)__builtin_thread_pointer() + __rseq_offset;

	if (!__rseq_size)
		return 0;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		unsigned int size = sizes[i] ? sizes[i] : __rseq_size;

		if (!syscall(SYS_rseq, area, size, RSEQ_FLAG_UNREGISTER, RSEQ_SIG))
			return 0;
	}
	return log_errno("task %d: leave the C library's rseq area", task->pid);
}

/* The shared memory follows us into the region. */
static int move_shared(struct compose *compose)
{
	struct restore_shared *shared = compose->restore->shared;
	void *moved = mremap(shared, shared->size, shared->size, MREMAP_MAYMOVE | MREMAP_FIXED,
			     (void *)(uintptr_t)compose->shared);

	if (moved == MAP_FAILED)
		return log_errno("task %d: move shared memory", compose->task->pid);
	compose->restore->shared = moved;
	return 0;
}

static int enter_blob(struct compose *compose)
{
	struct restorer_args *args;
	uint8_t *stack;
	int ret = make_region(compose);

	if (ret)
		return ret;
	args = region_alloc(&compose->region, sizeof(*args));
	stack = region_alloc(&compose->region, STACK_BYTES);
	if (!args || !stack)
		return -ENOMEM;
	args->shared = compose->shared;
	args->pid = compose->task->pid;
	args->window = compose->region_end - RESTORER_WINDOW_BYTES;
	ret = compose_all(compose, args);
	if (ret == -ENOMEM)
		return log_ret(ret, "task %d: work items of the restorer", compose->task->pid);
	if (ret)
		return ret;
	if (sharing_sets_directories(compose->restore, compose->task))
		ret = enter_directories(compose); /* /proc may be out of reach from here on */
	else
		close_directories(compose);
	if (ret)
		return ret;
	ret = move_shared(compose);
	if (ret)
		return ret;
	ret = forget_rseq(compose->task);
	if (ret)
		return ret;
	arch_call_on_stack(compose->region.start + restorer_blob_entry, (uintptr_t)args,
			   (uintptr_t)stack + STACK_BYTES);
}

int task_enter(struct restore *restore, struct task *task)
{
	struct compose compose = { .restore = restore, .task = task };
	int ret = compose_mem_open(&compose);

	if (!ret)
		ret = open_fixed(&compose);
	if (!ret)
		ret = install_files(&compose);
	if (!ret)
		ret = task_restore_hosted(restore, task);
	return ret ? ret : enter_blob(&compose);
}
