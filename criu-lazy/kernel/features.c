// SPDX-License-Identifier: GPL-2.0
#include "kernel/features.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/kcmp.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <linux/un.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "util/scope.h"

/* Newer than the headers of the oldest distribution we build on. */
#ifndef UFFDIO_POISON
#define UFFD_FEATURE_POISON_BIT (1 << 14)
#else
#define UFFD_FEATURE_POISON_BIT UFFD_FEATURE_POISON
#endif
enum {
	WP_ASYNC_BIT = 1 << 15,
	PAGE_IS_PRESENT_BIT = 1 << 3,
	PAGE_IS_GUARD_BIT = 1 << 8,
	PRCTL_TIMER_CREATE_RESTORE_IDS = 77, /* 6.15 */
	TIMER_IDS_GET = 2,
	SOCKOPT_BUF_LOCK = 72,
	ARCH_MAP_VDSO_64_CODE = 0x2003,
};

struct scan_arg { /* struct pm_scan_arg, linux/fs.h of 6.7 */
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct scan_region {
	uint64_t start, end, categories;
};
#define PAGEMAP_SCAN_IOCTL _IOWR('f', 16, struct scan_arg)

struct procmap_query_arg { /* struct procmap_query, linux/fs.h of 6.11 */
	uint64_t size, query_flags, query_addr, vma_start, vma_end, vma_flags, vma_page_size;
	uint64_t vma_offset, inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
#define PROCMAP_QUERY_IOCTL _IOWR('f', 17, struct procmap_query_arg)

static bool since(int major, int minor)
{
	struct utsname host;
	int have_major, have_minor;

	if (uname(&host) || sscanf(host.release, "%d.%d", &have_major, &have_minor) != 2)
		return false;
	return have_major > major || (have_major == major && have_minor >= minor);
}

/* Every kernel we run on has it. */
static bool probe_baseline(void)
{
	return since(5, 15);
}

/* The kernel may have it; this program does not use it yet. */
static bool probe_unused(void)
{
	return false;
}

static bool can_open(const char *path, int flags)
{
	scoped_fd int fd = open(path, flags | O_CLOEXEC);

	return fd >= 0;
}

static bool has_syscall(long ret)
{
	return ret >= 0 || errno != ENOSYS;
}

static bool probe_clone3(void)
{
	return has_syscall(syscall(SYS_clone3, NULL, 0));
}

static bool probe_openat2(void)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC };
	scoped_fd int fd = syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));

	return fd >= 0;
}

static bool probe_pidfd(void)
{
	scoped_fd int pidfd = syscall(SYS_pidfd_open, getpid(), 0);
	scoped_fd int fd = pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, pidfd, 0);

	return fd >= 0;
}

static bool probe_kcmp(void)
{
	return syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0) == 0;
}

/* Without an epoll descriptor the call cannot succeed; EOPNOTSUPP and EINVAL say that there is
 * none. */
static bool probe_kcmp_epoll(void)
{
	struct kcmp_epoll_slot slot = { .efd = -1U };

	syscall(SYS_kcmp, getpid(), getpid(), KCMP_EPOLL_TFD, 0, &slot);
	return errno == EBADF;
}

static bool probe_process_vm(void)
{
	char from = 'x', to = 0;
	struct iovec local = { &to, 1 }, remote = { &from, 1 };

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1 && to == from;
}

static bool probe_seccomp(void)
{
	return prctl(PR_GET_SECCOMP) >= 0;
}

static bool probe_userns(void)
{
	return access("/proc/self/ns/user", F_OK) == 0;
}

static bool probe_cgroupns(void)
{
	return access("/proc/self/ns/cgroup", F_OK) == 0;
}

static bool probe_timens(void)
{
	return access("/proc/self/ns/time", F_OK) == 0;
}

static bool probe_loginuid(void)
{
	return access("/proc/self/loginuid", R_OK | W_OK) == 0;
}

static bool probe_autofs(void)
{
	return access("/dev/autofs", F_OK) == 0;
}

static bool probe_apparmor_stacking(void)
{
	return can_open("/sys/kernel/security/apparmor/features/domain/stack", O_RDONLY);
}

static bool probe_tun(void)
{
	return can_open("/dev/net/tun", O_RDWR);
}

static int open_uffd(void)
{
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	scoped_fd int dev = fd >= 0 ? -1 : open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

	return dev < 0 ? fd : ioctl(dev, _IO(0xAA, 0x00), O_CLOEXEC | O_NONBLOCK);
}

static bool has_uffd_features(uint64_t wanted)
{
	scoped_fd int fd = open_uffd();
	struct uffdio_api api = { .api = UFFD_API };

	return fd >= 0 && !ioctl(fd, UFFDIO_API, &api) && (api.features & wanted) == wanted;
}

static bool probe_uffd(void)
{
	return has_uffd_features(0);
}

static bool probe_uffd_events(void)
{
	/* EVENT_FORK is listed only for those who may use it (CAP_SYS_PTRACE). */
	return has_uffd_features(UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP |
				 UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP);
}

static bool probe_uffd_shmem(void)
{
	return has_uffd_features(UFFD_FEATURE_MISSING_SHMEM);
}

static bool probe_uffd_hugetlb(void)
{
	return has_uffd_features(UFFD_FEATURE_MISSING_HUGETLBFS);
}

static bool probe_uffd_poison(void)
{
	return has_uffd_features(UFFD_FEATURE_POISON_BIT);
}

static bool probe_uffd_wp_async(void)
{
	return has_uffd_features(WP_ASYNC_BIT);
}

static bool can_scan(uint64_t category)
{
	scoped_fd int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct scan_region region;
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = (uint64_t)&region & -4096ULL,
		.end = ((uint64_t)&region & -4096ULL) + 4096,
		.vec = (uint64_t)&region,
		.vec_len = 1,
		.category_anyof_mask = category,
		.return_mask = category,
	};

	return fd >= 0 && ioctl(fd, PAGEMAP_SCAN_IOCTL, &arg) >= 0;
}

static bool probe_pagemap_scan(void)
{
	return can_scan(PAGE_IS_PRESENT_BIT);
}

static bool probe_pagemap_scan_guard(void)
{
	return can_scan(PAGE_IS_GUARD_BIT);
}

static bool probe_procmap_query(void)
{
	scoped_fd int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	struct procmap_query_arg arg = { .size = sizeof(arg), .query_addr = (uint64_t)&arg };

	return fd >= 0 && !ioctl(fd, PROCMAP_QUERY_IOCTL, &arg);
}

static bool probe_sk_ns(void)
{
	scoped_fd int sk = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	scoped_fd int ns = sk < 0 ? -1 : ioctl(sk, SIOCGSKNS, 0);

	return ns >= 0;
}

static bool probe_sk_unix_file(void)
{
	scoped_fd int sk = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* An unbound socket has no file: ENOENT, or EINVAL for an unbound address. */
	return sk >= 0 && ioctl(sk, SIOCUNIXFILE, 0) < 0 && (errno == ENOENT || errno == EINVAL);
}

static bool probe_nftables(void)
{
	scoped_fd int sk = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 12 /* NETLINK_NETFILTER */);

	return sk >= 0;
}

static bool probe_buf_lock(void)
{
	scoped_fd int sk = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(int);
	int value;

	return sk >= 0 && !getsockopt(sk, SOL_SOCKET, SOCKOPT_BUF_LOCK, &value, &len);
}

static bool probe_ipv6_freebind(void)
{
	scoped_fd int sk = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(int);
	int value;

	return sk >= 0 && !getsockopt(sk, SOL_IPV6, 78 /* IPV6_FREEBIND */, &value, &len);
}

static bool probe_memfd_hugetlb(void)
{
	scoped_fd int fd = memfd_create("probe", MFD_CLOEXEC | MFD_HUGETLB);

	return fd >= 0;
}

static bool probe_timerfd(void)
{
	scoped_fd int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return fd >= 0 && can_open(path, O_RDONLY);
}

static bool probe_timer_ids(void)
{
	return prctl(PRCTL_TIMER_CREATE_RESTORE_IDS, TIMER_IDS_GET, 0, 0, 0) >= 0;
}

static bool probe_map_vdso(void)
{
#ifdef __x86_64__
	/* EEXIST: there is one already, so the call is known. */
	return syscall(SYS_arch_prctl, ARCH_MAP_VDSO_64_CODE, 0) < 0 && errno == EEXIST;
#else
	return true;
#endif
}

static bool probe_pidns_ioctl(void)
{
	scoped_fd int ns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	return ns >= 0 &&
	       ioctl(ns, _IOR(0xb7, 0x8, int) /* NS_GET_TGID_FROM_PIDNS */, getpid()) >= 0;
}

#define NEEDED(name, probe, purpose)                 \
	{                                            \
		name, FEATURE_NEEDED, probe, purpose \
	}
#define EXTRA(name, probe, purpose)                 \
	{                                           \
		name, FEATURE_EXTRA, probe, purpose \
	}
#define EXPERIMENTAL(name, probe, purpose)                 \
	{                                                  \
		name, FEATURE_EXPERIMENTAL, probe, purpose \
	}

const struct feature feature_table[] = {
	NEEDED("clone3_set_tid", probe_clone3, "tasks with the pids they had"),
	NEEDED("pidfd_store", probe_pidfd, "looking at descriptors of a task"),
	NEEDED("kcmp", probe_kcmp, "finding what tasks share"),
	NEEDED("process_vm", probe_process_vm, "reading memory"),
	NEEDED("seccomp_suspend", probe_baseline, "dumping tasks with filters"),
	NEEDED("seccomp_filters", probe_seccomp, "seccomp filters"),
	NEEDED("mnt_id", probe_baseline, "finding files again"),
	NEEDED("timerfd", probe_timerfd, "timerfd"),
	NEEDED("fdinfo_lock", probe_baseline, "file locks"),
	NEEDED("aio_remap", probe_baseline, "AIO rings"),
	NEEDED("openat2", probe_openat2, "opening files safely"),
	NEEDED("get_rseq_conf", probe_baseline, "restartable sequences"),
	NEEDED("can_map_vdso", probe_map_vdso, "placing the vDSO"),
	NEEDED("kcmp_epoll", probe_kcmp_epoll, "epoll"),
	NEEDED("breakpoints", probe_baseline, "stopping threads exactly"),
	EXTRA("uffd", probe_uffd, "lazy restore"),
	EXTRA("uffd-noncoop", probe_uffd_events, "lazy restore of tasks that fork or remap"),
	EXTRA("uffd-shmem", probe_uffd_shmem, "lazy restore of shared memory"),
	EXTRA("uffd-hugetlb", probe_uffd_hugetlb, "lazy restore of huge pages"),
	EXTRA("sk_ns", probe_sk_ns, "network namespaces of sockets"),
	EXTRA("sk_unix_file", probe_sk_unix_file, "names of unix sockets"),
	EXTRA("sockopt_buf_lock", probe_buf_lock, "sizes of socket buffers"),
	EXTRA("ipv6_freebind", probe_ipv6_freebind, "freely bound IPv6 sockets"),
	EXTRA("memfd_hugetlb", probe_memfd_hugetlb, "huge memory files"),
	EXTRA("userns", probe_userns, "user namespaces"),
	EXTRA("cgroupns", probe_cgroupns, "cgroup namespaces"),
	EXTRA("timens", probe_timens, "time namespaces"),
	EXTRA("loginuid", probe_loginuid, "login uids"),
	EXTRA("tcp_half_closed", probe_baseline, "half-closed connections"),
	EXTRA("net_diag_raw", probe_baseline, "raw sockets"),
	EXTRA("nsid", probe_baseline, "network namespace ids"),
	EXTRA("link_nsid", probe_baseline, "links across namespaces"),
	EXTRA("external_net_ns", probe_baseline, "external network namespaces"),
	EXTRA("newifindex", probe_baseline, "interface indices"),
	EXTRA("move_mount_set_group", probe_baseline, "mount groups"),
	EXPERIMENTAL("tun", probe_tun, "tun devices"),
	EXPERIMENTAL("tun_ns", probe_tun, "tun devices in namespaces"),
	EXPERIMENTAL("autofs", probe_autofs, "autofs mounts"),
	EXPERIMENTAL("nftables", probe_nftables, "packet rules"),
	EXPERIMENTAL("apparmor_stacking", probe_apparmor_stacking, "AppArmor profiles"),
	EXPERIMENTAL("ns_pid", probe_pidns_ioctl, "pids across namespaces"),
	EXPERIMENTAL("timer_cr_ids", probe_timer_ids, "POSIX timers with any id, quickly"),
	EXPERIMENTAL("overlayfs_maps", probe_baseline, "mappings of overlay files"),
	EXPERIMENTAL("pagemap_scan", probe_pagemap_scan, "finding pages quickly"),
	EXPERIMENTAL("pagemap_scan_guard_pages", probe_pagemap_scan_guard, "guard pages"),
	EXPERIMENTAL("procmap_query", probe_procmap_query, "reading mappings quickly"),
	EXPERIMENTAL("uffd-poison", probe_uffd_poison, "marking pages that cannot be read"),
	EXPERIMENTAL("uffd-wp-async", probe_uffd_wp_async, "tracking memory"),
	EXPERIMENTAL("mem_dirty_track", probe_unused, "incremental dumps, not supported yet"),
	EXPERIMENTAL("network_lock_nftables", probe_unused, "network locking, not supported yet"),
	EXPERIMENTAL("has_ipt_legacy", probe_unused, "network locking, not supported yet"),
	EXPERIMENTAL("compat_cr", probe_unused, "32-bit tasks, not supported yet"),
};

const size_t feature_count = sizeof(feature_table) / sizeof(feature_table[0]);

const struct feature *feature_find(const char *name)
{
	for (size_t i = 0; i < feature_count; i++)
		if (!strcmp(feature_table[i].name, name))
			return &feature_table[i];
	return NULL;
}
