// SPDX-License-Identifier: GPL-2.0
/* The one table of image kinds: file name, framing, magic, messages. Facts of CRIU's format. */
#include "image/kinds.h"

#include "apparmor.pb-c.h"
#include "autofs.pb-c.h"
#include "binfmt-misc.pb-c.h"
#include "bpfmap-data.pb-c.h"
#include "bpfmap-file.pb-c.h"
#include "cgroup.pb-c.h"
#include "core.pb-c.h"
#include "cpuinfo.pb-c.h"
#include "creds.pb-c.h"
#include "eventfd.pb-c.h"
#include "eventpoll.pb-c.h"
#include "ext-file.pb-c.h"
#include "fdinfo.pb-c.h"
#include "fh.pb-c.h"
#include "fifo.pb-c.h"
#include "file-lock.pb-c.h"
#include "fs.pb-c.h"
#include "fsnotify.pb-c.h"
#include "ghost-file.pb-c.h"
#include "inventory.pb-c.h"
#include "ipc-msg.pb-c.h"
#include "ipc-sem.pb-c.h"
#include "ipc-shm.pb-c.h"
#include "ipc-var.pb-c.h"
#include "memfd.pb-c.h"
#include "mm.pb-c.h"
#include "mnt.pb-c.h"
#include "netdev.pb-c.h"
#include "ns.pb-c.h"
#include "packet-sock.pb-c.h"
#include "pagemap.pb-c.h"
#include "pidfd.pb-c.h"
#include "pidns.pb-c.h"
#include "pipe.pb-c.h"
#include "pipe-data.pb-c.h"
#include "pstree.pb-c.h"
#include "regfile.pb-c.h"
#include "remap-file-path.pb-c.h"
#include "rlimit.pb-c.h"
#include "sa.pb-c.h"
#include "seccomp.pb-c.h"
#include "siginfo.pb-c.h"
#include "signalfd.pb-c.h"
#include "sk-inet.pb-c.h"
#include "sk-netlink.pb-c.h"
#include "sk-packet.pb-c.h"
#include "sk-unix.pb-c.h"
#include "stats.pb-c.h"
#include "lazy-source.pb-c.h"
#include "lazy-working-set.pb-c.h"
#include "task-ext.pb-c.h"
#include "tcp-stream.pb-c.h"
#include "timens.pb-c.h"
#include "timer.pb-c.h"
#include "timerfd.pb-c.h"
#include "tty.pb-c.h"
#include "tun.pb-c.h"
#include "userns.pb-c.h"
#include "utsns.pb-c.h"
#include "vma.pb-c.h"

#define COMMON	IMAGE_FRAME_COMMON
#define OWN	IMAGE_FRAME_OWN
#define SERVICE IMAGE_FRAME_SERVICE
#define RAW	IMAGE_FRAME_RAW

#define MSG(type) &type##__descriptor

/* clang-format off */
static const struct image_kind_info kinds[IMG_KINDS_COUNT] = {
	[IMG_INVENTORY] = { "inventory.img", OWN, 0x58313116, { MSG(inventory_entry) } },
	[IMG_FDINFO] = { "fdinfo-%u.img", COMMON, 0x56213732, { MSG(fdinfo_entry) } },
	[IMG_PAGEMAP] = { "pagemap-%u.img", COMMON, 0x56084025, { MSG(pagemap_head), MSG(pagemap_entry) } },
	[IMG_SHMEM_PAGEMAP] = { "pagemap-shmem-%u.img", COMMON, 0x56084025, { MSG(pagemap_head), MSG(pagemap_entry) } },
	[IMG_REG_FILES] = { "reg-files.img", COMMON, 0x50363636, { MSG(reg_file_entry) } },
	[IMG_EXT_FILES] = { "ext-files.img", COMMON, 0x59255641, { MSG(ext_file_entry) } },
	[IMG_NS_FILES] = { "ns-files.img", COMMON, 0x61394011, { MSG(ns_file_entry) } },
	[IMG_EVENTFD_FILE] = { "eventfd.img", COMMON, 0x44523722, { MSG(eventfd_file_entry) } },
	[IMG_EVENTPOLL_FILE] = { "eventpoll.img", COMMON, 0x45023858, { MSG(eventpoll_file_entry) } },
	[IMG_EVENTPOLL_TFD] = { "eventpoll-tfd.img", COMMON, 0x44433746, { MSG(eventpoll_tfd_entry) } },
	[IMG_SIGNALFD] = { "signalfd.img", COMMON, 0x57323820, { MSG(signalfd_entry) } },
	[IMG_INOTIFY_FILE] = { "inotify.img", COMMON, 0x48424431, { MSG(inotify_file_entry) } },
	[IMG_INOTIFY_WD] = { "inotify-wd.img", COMMON, 0x54562009, { MSG(inotify_wd_entry) } },
	[IMG_FANOTIFY_FILE] = { "fanotify.img", COMMON, 0x55096122, { MSG(fanotify_file_entry) } },
	[IMG_FANOTIFY_MARK] = { "fanotify-mark.img", COMMON, 0x56506035, { MSG(fanotify_mark_entry) } },
	[IMG_CORE] = { "core-%u.img", COMMON, 0x55053847, { MSG(core_entry) } },
	[IMG_IDS] = { "ids-%u.img", COMMON, 0x54432030, { MSG(task_kobj_ids_entry) } },
	[IMG_MM] = { "mm-%u.img", COMMON, 0x57492820, { MSG(mm_entry) } },
	[IMG_VMAS] = { "vmas-%u.img", COMMON, 0x54123737, { MSG(vma_entry) } },
	[IMG_PIPES] = { "pipes.img", COMMON, 0x56513555, { MSG(pipe_entry) } },
	[IMG_PIPES_DATA] = { "pipes-data.img", COMMON, 0x56453709, { MSG(pipe_data_entry) } },
	[IMG_FIFO] = { "fifo.img", COMMON, 0x58364939, { MSG(fifo_entry) } },
	[IMG_FIFO_DATA] = { "fifo-data.img", COMMON, 0x59333054, { MSG(pipe_data_entry) } },
	[IMG_PSTREE] = { "pstree.img", COMMON, 0x50273030, { MSG(pstree_entry) } },
	[IMG_SIGACT] = { "sigacts-%u.img", COMMON, 0x55344201, { MSG(sa_entry) } },
	[IMG_UNIXSK] = { "unixsk.img", COMMON, 0x54373943, { MSG(unix_sk_entry) } },
	[IMG_INETSK] = { "inetsk.img", COMMON, 0x56443851, { MSG(inet_sk_entry) } },
	[IMG_PACKETSK] = { "packetsk.img", COMMON, 0x60454618, { MSG(packet_sock_entry) } },
	[IMG_NETLINK_SK] = { "netlinksk.img", COMMON, 0x58005614, { MSG(netlink_sk_entry) } },
	[IMG_SK_QUEUES] = { "sk-queues.img", COMMON, 0x56264026, { MSG(sk_packet_entry) } },
	[IMG_ITIMERS] = { "itimers-%u.img", COMMON, 0x57464056, { MSG(itimer_entry) } },
	[IMG_POSIX_TIMERS] = { "posix-timers-%u.img", COMMON, 0x52603957, { MSG(posix_timer_entry) } },
	[IMG_CREDS] = { "creds-%u.img", COMMON, 0x54023547, { MSG(creds_entry) } },
	[IMG_UTSNS] = { "utsns-%u.img", COMMON, 0x54473203, { MSG(utsns_entry) } },
	[IMG_IPC_VAR] = { "ipcns-var-%u.img", COMMON, 0x53115007, { MSG(ipc_var_entry) } },
	[IMG_IPCNS_SHM] = { "ipcns-shm-%u.img", COMMON, 0x46283044, { MSG(ipc_shm_entry) } },
	[IMG_IPCNS_MSG] = { "ipcns-msg-%u.img", COMMON, 0x55453737, { MSG(ipc_msg_entry), MSG(ipc_msg) } },
	[IMG_IPCNS_SEM] = { "ipcns-sem-%u.img", COMMON, 0x59573019, { MSG(ipc_sem_entry) } },
	[IMG_FS] = { "fs-%u.img", COMMON, 0x51403912, { MSG(fs_entry) } },
	[IMG_REMAP_FPATH] = { "remap-fpath.img", COMMON, 0x59133954, { MSG(remap_file_path_entry) } },
	[IMG_GHOST_FILE] = { "ghost-file-%x.img", COMMON, 0x52583605, { MSG(ghost_file_entry), MSG(ghost_chunk_entry) } },
	[IMG_MEMFD_INODE] = { "memfd.img", COMMON, 0x48453499, { MSG(memfd_inode_entry) } },
	[IMG_TCP_STREAM] = { "tcp-stream-%x.img", COMMON, 0x51465506, { MSG(tcp_stream_entry) } },
	[IMG_MNTS] = { "mountpoints-%u.img", COMMON, 0x55563928, { MSG(mnt_entry) } },
	[IMG_NETDEV] = { "netdev-%u.img", COMMON, 0x57373951, { MSG(net_device_entry) } },
	[IMG_NETNS] = { "netns-%u.img", COMMON, 0x55933752, { MSG(netns_entry) } },
	[IMG_IFADDR] = { "ifaddr-%u.img", RAW },
	[IMG_ROUTE] = { "route-%u.img", RAW },
	[IMG_ROUTE6] = { "route6-%u.img", RAW },
	[IMG_RULE] = { "rule-%u.img", RAW },
	[IMG_IPTABLES] = { "iptables-%u.img", RAW },
	[IMG_IP6TABLES] = { "ip6tables-%u.img", RAW },
	[IMG_NFTABLES] = { "nftables-%u.img", RAW },
	[IMG_TMPFS_IMG] = { "tmpfs-%u.tar.gz.img", RAW },
	[IMG_TMPFS_DEV] = { "tmpfs-dev-%u.tar.gz.img", RAW },
	[IMG_AUTOFS] = { "autofs-%u.img", COMMON, 0x49353943, { MSG(autofs_entry) } },
	[IMG_BINFMT_MISC_OLD] = { "binfmt-misc-%u.img", COMMON, 0x67343323, { MSG(binfmt_misc_entry) } },
	[IMG_BINFMT_MISC] = { "binfmt-misc.img", COMMON, 0x67343323, { MSG(binfmt_misc_entry) } },
	[IMG_TTY_FILES] = { "tty.img", COMMON, 0x59433025, { MSG(tty_file_entry) } },
	[IMG_TTY_INFO] = { "tty-info.img", COMMON, 0x59453036, { MSG(tty_info_entry) } },
	[IMG_TTY_DATA] = { "tty-data.img", COMMON, 0x59413026, { MSG(tty_data_entry) } },
	[IMG_FILE_LOCKS] = { "filelocks.img", COMMON, 0x54323616, { MSG(file_lock_entry) } },
	[IMG_RLIMIT] = { "rlimit-%u.img", COMMON, 0x57113925, { MSG(rlimit_entry) } },
	[IMG_PAGES] = { "pages-%u.img", RAW },
	[IMG_PAGES_OLD] = { "pages-%u.img", COMMON, 0x56084025 },
	[IMG_SHM_PAGES_OLD] = { "pages-shmem-%u.img", COMMON, 0x56084025 },
	[IMG_SIGNAL] = { "signal-s-%u.img", COMMON, 0x59255647, { MSG(signal_queue_entry) } },
	[IMG_PSIGNAL] = { "signal-p-%u.img", COMMON, 0x59255647, { MSG(signal_queue_entry) } },
	[IMG_TUNFILE] = { "tunfile.img", COMMON, 0x57143751, { MSG(tunfile_entry) } },
	[IMG_CGROUP] = { "cgroup.img", COMMON, 0x59383330, { MSG(cgroup_entry) } },
	[IMG_TIMERFD] = { "timerfd.img", COMMON, 0x50493712, { MSG(timerfd_entry) } },
	[IMG_CPUINFO] = { "cpuinfo.img", COMMON, 0x61404013, { MSG(cpuinfo_entry) } },
	[IMG_SECCOMP] = { "seccomp.img", COMMON, 0x64413049, { MSG(seccomp_entry) } },
	[IMG_USERNS] = { "userns-%u.img", COMMON, 0x55474906, { MSG(userns_entry) } },
	[IMG_NETNF_CT] = { "netns-ct-%u.img", RAW },
	[IMG_NETNF_EXP] = { "netns-exp-%u.img", RAW },
	[IMG_FILES] = { "files.img", COMMON, 0x56303138, { MSG(file_entry) } },
	[IMG_TIMENS] = { "timens-%u.img", COMMON, 0x43114433, { MSG(timens_entry) } },
	[IMG_PIDNS] = { "pidns-%u.img", COMMON, 0x61157326, { MSG(pidns_entry) } },
	[IMG_BPFMAP_FILE] = { "bpfmap-file.img", COMMON, 0x57506142, { MSG(bpfmap_file_entry) } },
	[IMG_BPFMAP_DATA] = { "bpfmap-data.img", COMMON, 0x64324033, { MSG(bpfmap_data_entry) } },
	[IMG_APPARMOR] = { "apparmor.img", COMMON, 0x59423047, { MSG(apparmor_entry) } },
	[IMG_PIDFD] = { "pidfd.img", COMMON, 0x54435556, { MSG(pidfd_entry) } },
	[IMG_STATS] = { "stats-%s", SERVICE, 0x57093306, { MSG(stats_entry) } },
	[IMG_IRMAP_CACHE] = { "irmap-cache", SERVICE, 0x57004059, { MSG(irmap_cache_entry) } },
	[IMG_TASK_EXT] = { "task-ext-%u.img", COMMON, 0x4c5a0001, { MSG(task_ext_entry) } },
	[IMG_LAZY_SOURCE] = { "lazy-source.img", COMMON, 0x4c5a0002, { MSG(lazy_source_entry) } },
	[IMG_LAZY_WORKING_SET] = { "lazy-working-set.img", COMMON, 0x4c5a0003, { MSG(lazy_working_set_entry) } },
};
/* clang-format on */

const struct image_kind_info *image_kind_info(enum image_kind kind)
{
	return &kinds[kind];
}
