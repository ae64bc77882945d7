// SPDX-License-Identifier: GPL-2.0
/*
 * An injection from begin to end: what was changed in the task is remembered
 * in struct compel_inject and taken back at the end, in reverse.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "internal.h"

enum { PAGE = 4096 };

/* ---- begin -------------------------------------------------------------- */

static int seccomp_mode(pid_t tid)
{
	char path[48], line[256];
	int mode = -1;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	status = fopen(path, "re");
	if (!status)
		return -1;
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "Seccomp: %d", &mode) == 1)
			break;
	fclose(status);
	return mode;
}

/* A filter that we could not suspend may kill the task for a call of ours. */
static int check_seccomp(pid_t tid)
{
	if (compel_seccomp_is_suspended() || seccomp_mode(tid) <= 0)
		return 0;
	return compel_fail(-EPERM,
			   "task %d: is under seccomp, which takes CAP_SYS_ADMIN to suspend", tid);
}

int compel_inject_begin(pid_t pid, pid_t tid, struct compel_inject **out)
{
	struct compel_inject *inject;
	int ret;

	*out = NULL;
	ret = check_seccomp(tid);
	if (ret)
		return ret;
	inject = malloc(sizeof(*inject));
	if (!inject)
		return -ENOMEM;
	memset(inject, 0, offsetof(struct compel_inject, saved));
	memset((char *)inject + offsetof(struct compel_inject, fpu_saved), 0,
	       sizeof(*inject) - offsetof(struct compel_inject, fpu_saved));
	inject->pid = pid;
	inject->tid = tid;
	inject->restart_stop = true;

	ret = compel_context_get_regs(tid, &inject->saved);
	if (!ret)
		ret = compel_find_gadget(pid, &inject->gadget);
	if (ret) {
		free(inject);
		return ret;
	}
	*out = inject;
	return 0;
}

int compel_rest(struct compel_inject *inject)
{
	uint64_t regs[ARCH_NR_REGS];
	int ret = 0;

	memcpy(regs, inject->saved.regs, sizeof(regs));
	/* The kernel would not restart from here any more, and show the error code to the task. */
	if (arch_is_interrupted(regs) && !inject->restart_stop)
		arch_emulate_restart(regs);
	if (inject->fpu_saved)
		ret = compel_fpu_set(inject->tid, &inject->saved);
	/* The mask first: with it alone the built-in blob still finds its way back by itself. */
	if (!ret)
		ret = compel_mask_set(inject->tid, inject->saved.sigmask);
	return ret ? ret : compel_regs_set(inject->tid, regs);
}

/* ---- calls -------------------------------------------------------------- */

int compel_check_idle(const struct compel_inject *inject)
{
	if (inject->is_server_running)
		return compel_fail(-EBUSY, "task %d: a server runs in it", inject->tid);
	if (inject->is_stuck)
		return compel_fail(-ETIMEDOUT, "task %d: did not run our code before", inject->tid);
	return 0;
}

int compel_syscall(struct compel_inject *inject, long nr, const uint64_t args[6], int64_t *ret)
{
	int err;

	err = compel_check_idle(inject);
	if (err)
		return err;
	inject->restart_stop = false;
	err = compel_remote_syscall(inject, inject->tid, nr, args, ret);
	return err ? err : compel_rest(inject);
}

static int inject_note_mapping(struct compel_inject *inject, uint64_t addr, size_t len)
{
	struct compel_mapping *maps;

	maps = realloc(inject->maps, (inject->nr_maps + 1) * sizeof(*maps));
	if (!maps)
		return -ENOMEM;
	maps[inject->nr_maps++] = (struct compel_mapping){ addr, len };
	inject->maps = maps;
	return 0;
}

static int inject_unmap(struct compel_inject *inject, uint64_t addr, size_t len, bool is_last)
{
	const uint64_t args[6] = { addr, len };
	int64_t ret;
	int err;

	err = is_last ? compel_remote_last(inject, inject->tid, SYS_munmap, args, &ret)
		      : compel_syscall(inject, SYS_munmap, args, &ret);
	if (!err && is_last)
		inject->restart_stop = true;
	if (!err && ret < 0)
		err = compel_fail(ret, "task %d: unmap 0x%llx", inject->tid,
				  (unsigned long long)addr);
	return err;
}

int compel_try_mmap(struct compel_inject *inject, size_t len, int prot, uint64_t *addr,
		    int64_t *ret)
{
	const uint64_t args[6] = { 0, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1ull, 0 };
	int err;

	err = compel_syscall(inject, SYS_mmap, args, ret);
	if (err || *ret < 0)
		return err;
	*addr = *ret;
	err = inject_note_mapping(inject, *addr, len);
	if (err)
		inject_unmap(inject, *addr, len, false);
	return err;
}

int compel_mmap(struct compel_inject *inject, size_t len, int prot, uint64_t *addr)
{
	int64_t ret = 0;
	int err;

	len = (len + PAGE - 1) & ~(size_t)(PAGE - 1);
	err = compel_try_mmap(inject, len, prot, addr, &ret);
	if (!err && ret < 0)
		err = compel_fail(ret, "task %d: map %zu bytes", inject->tid, len);
	return err;
}

/* ---- memory ------------------------------------------------------------- */

/* Through /proc/PID/mem, which overrides the protection of private mappings. */
static int forced_io(pid_t pid, uint64_t addr, void *buf, size_t len, bool is_write)
{
	size_t done = 0;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, (is_write ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH
				       : compel_fail(-errno, "task %d: open its memory", pid);
	while (done < len) {
		ssize_t n =
			is_write ? pwrite(fd, (char *)buf + done, len - done, (off_t)(addr + done))
				 : pread(fd, (char *)buf + done, len - done, (off_t)(addr + done));

		if (n <= 0)
			break;
		done += n;
	}
	close(fd);
	if (done == len)
		return 0;
	return compel_fail(-EFAULT, "task %d: %s %zu bytes at 0x%llx", pid,
			   is_write ? "write" : "read", len, (unsigned long long)addr);
}

int compel_read(struct compel_inject *inject, uint64_t addr, void *buf, size_t len)
{
	struct iovec local = { buf, len }, remote = { (void *)addr, len };

	if (process_vm_readv(inject->pid, &local, 1, &remote, 1, 0) == (ssize_t)len)
		return 0;
	return forced_io(inject->pid, addr, buf, len, false);
}

int compel_write(struct compel_inject *inject, uint64_t addr, const void *buf, size_t len)
{
	struct iovec local = { (void *)buf, len }, remote = { (void *)addr, len };

	if (process_vm_writev(inject->pid, &local, 1, &remote, 1, 0) == (ssize_t)len)
		return 0;
	return forced_io(inject->pid, addr, (void *)buf, len, true);
}

/* ---- end ---------------------------------------------------------------- */

static int inject_undo(struct compel_inject *inject)
{
	int64_t ignored;
	int ret = 0;

	if (inject->is_server_running) {
		/* Given up: take the thread out of the blob wherever it is. */
		inject->is_server_running = false;
		ret = compel_interrupt(inject, inject->tid);
	}
	if (inject->is_stuck) {
		/* Back in a stop, but calls do not work: what was mapped stays. */
		inject->restart_stop = true;
		ret = compel_rest(inject);
		return ret ? ret : -ETIMEDOUT;
	}
	for (size_t i = 0; !ret && i < inject->nr_remote_fds; i++)
		ret = compel_syscall(inject, SYS_close, (uint64_t[6]){ inject->remote_fds[i] },
				     &ignored);
	while (!ret && inject->nr_maps) {
		const struct compel_mapping *map = &inject->maps[--inject->nr_maps];

		ret = inject_unmap(inject, map->addr, map->len, !inject->nr_maps);
	}

	/* Only a stop in signal delivery lets the kernel restart what we broke into. */
	if (!ret && arch_is_interrupted(inject->saved.regs) && !inject->restart_stop)
		ret = compel_to_restart_stop(inject, inject->tid);
	inject->restart_stop = !ret;
	if (ret != -ESRCH) {
		int rest = compel_rest(inject);

		ret = ret ? ret : rest;
	}
	if (inject->stop_owed)
		syscall(SYS_tgkill, inject->pid, inject->tid, SIGSTOP);
	return ret;
}

int compel_inject_end(struct compel_inject **slot)
{
	struct compel_inject *inject = *slot;
	int ret;

	if (!inject)
		return 0;
	*slot = NULL;
	ret = inject_undo(inject);
	free(inject->remote_fds);
	free(inject->maps);
	free(inject);
	return ret;
}
