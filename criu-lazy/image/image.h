/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Image files: CRIU's format, one table of kinds (image/kinds.c), one reader
 * that trusts nothing, one buffered writer. See Documentation for framing.
 *
 * Errors are logged here with file name and offset, once; callers pass them up.
 *   -ENOENT   the file does not exist (not logged: often ordinary)
 *   -EBADMSG  wrong magic, truncated, oversized or undecodable content
 *   other     from the kernel
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows of image/kinds.c, which has name, magic and messages of each. */
enum image_kind {
	IMG_INVENTORY,
	IMG_FDINFO,
	IMG_PAGEMAP,
	IMG_SHMEM_PAGEMAP,
	IMG_REG_FILES,
	IMG_EXT_FILES,
	IMG_NS_FILES,
	IMG_EVENTFD_FILE,
	IMG_EVENTPOLL_FILE,
	IMG_EVENTPOLL_TFD,
	IMG_SIGNALFD,
	IMG_INOTIFY_FILE,
	IMG_INOTIFY_WD,
	IMG_FANOTIFY_FILE,
	IMG_FANOTIFY_MARK,
	IMG_CORE,
	IMG_IDS,
	IMG_MM,
	IMG_VMAS,
	IMG_PIPES,
	IMG_PIPES_DATA,
	IMG_FIFO,
	IMG_FIFO_DATA,
	IMG_PSTREE,
	IMG_SIGACT,
	IMG_UNIXSK,
	IMG_INETSK,
	IMG_PACKETSK,
	IMG_NETLINK_SK,
	IMG_SK_QUEUES,
	IMG_ITIMERS,
	IMG_POSIX_TIMERS,
	IMG_CREDS,
	IMG_UTSNS,
	IMG_IPC_VAR,
	IMG_IPCNS_SHM,
	IMG_IPCNS_MSG,
	IMG_IPCNS_SEM,
	IMG_FS,
	IMG_REMAP_FPATH,
	IMG_GHOST_FILE,
	IMG_MEMFD_INODE,
	IMG_TCP_STREAM,
	IMG_MNTS,
	IMG_NETDEV,
	IMG_NETNS,
	IMG_IFADDR,
	IMG_ROUTE,
	IMG_ROUTE6,
	IMG_RULE,
	IMG_IPTABLES,
	IMG_IP6TABLES,
	IMG_NFTABLES,
	IMG_TMPFS_IMG,
	IMG_TMPFS_DEV,
	IMG_AUTOFS,
	IMG_BINFMT_MISC_OLD,
	IMG_BINFMT_MISC,
	IMG_TTY_FILES,
	IMG_TTY_INFO,
	IMG_TTY_DATA,
	IMG_FILE_LOCKS,
	IMG_RLIMIT,
	IMG_PAGES,
	IMG_PAGES_OLD,
	IMG_SHM_PAGES_OLD,
	IMG_SIGNAL,
	IMG_PSIGNAL,
	IMG_TUNFILE,
	IMG_CGROUP,
	IMG_TIMERFD,
	IMG_CPUINFO,
	IMG_SECCOMP,
	IMG_USERNS,
	IMG_NETNF_CT,
	IMG_NETNF_EXP,
	IMG_FILES,
	IMG_TIMENS,
	IMG_PIDNS,
	IMG_BPFMAP_FILE,
	IMG_BPFMAP_DATA,
	IMG_APPARMOR,
	IMG_PIDFD,
	IMG_STATS,
	IMG_IRMAP_CACHE,
	IMG_TASK_EXT, /* of our own from here on: Documentation/image-extensions.md */
	IMG_LAZY_SOURCE,
	IMG_LAZY_WORKING_SET,
	IMG_KINDS_COUNT,
};

/* A directory of images, possibly with a parent (link "parent"). */
struct image_dir;

/* Opens path (borrowed); or takes a directory fd (owned afterwards) with path NULL. */
int image_dir_open(const char *path, int dirfd, struct image_dir **out);
void image_dir_close(struct image_dir *dir);
int image_dir_fd(const struct image_dir *dir);
/*
 * Before a new set is written: removes what an earlier one has left, that is every file with the
 * name of an image (not statistics and caches, nor the link "parent"). Images that are optional
 * would else be taken for the new set's, and an old inventory would make a failed dump look whole.
 */
int image_dir_clear(struct image_dir *dir);
/* The parent set, opened on first use and owned by dir; *out NULL if there is none. A chain that
 * bites its tail or is absurdly deep is -ELOOP. Not thread safe. */
int image_dir_parent(struct image_dir *dir, struct image_dir **out);

/* The id of IMG_STATS: stats-dump, stats-restore, or the daemon's stats-lazy-pages. */
enum image_stats_id { IMAGE_STATS_DUMP, IMAGE_STATS_RESTORE, IMAGE_STATS_LAZY_PAGES };

struct image;

/*
 * Opens one file to read, checking its magics. id goes into the name where the
 * kind has one (ignored otherwise). *out is owned by the caller.
 */
int image_open(struct image_dir *dir, enum image_kind kind, uint64_t id, struct image **out);

/* Creates (truncates) one file, mode 0600, and puts its magics. Nothing reaches the disk
 * before image_close() or a full buffer. */
int image_create(struct image_dir *dir, enum image_kind kind, uint64_t id, struct image **out);

/* Writers only: flushes and closes; a failed write of any earlier call is reported here
 * too. On readers it just closes. *img becomes NULL. */
int image_close(struct image **img);
/* For scoped use on error paths: closes, ignoring errors. */
void image_abandon(struct image *const *img);
#define scoped_image __attribute__((cleanup(image_abandon)))

/* Appends one message; its type must be one of the kind's (-EINVAL). */
int image_write(struct image *img, const ProtobufCMessage *msg);
int image_write_raw(struct image *img, const void *data, size_t len);
/* Appends one message and the len bytes that belong to it. */
int image_write_payload(struct image *img, const ProtobufCMessage *msg, const void *data,
			size_t len);

/* Reads the next message as `type`. 1: *out is owned (image_msg_free), 0: end, <0 error. */
int image_read(struct image *img, const ProtobufCMessageDescriptor *type, ProtobufCMessage **out);
/* The same without decoding: 1 with *data (borrowed until the next call on img) and *len. */
int image_read_packed(struct image *img, const uint8_t **data, size_t *len);
/* Reads exactly len bytes of payload; -EBADMSG when the file ends before. */
int image_read_raw(struct image *img, void *data, size_t len);
/* Skips payload, checked against the file's size. */
int image_skip_raw(struct image *img, uint64_t len);
void image_msg_free(ProtobufCMessage *msg);
/* Calls take for each message to the end, read as `type` and freed afterwards; take may read what
 * belongs to it from img. Stops at the first call that does not return 0, and returns that; 0: the
 * end was reached; -errno of reading, logged. */
typedef int (*image_take_fn)(void *arg, struct image *img, const ProtobufCMessage *msg);
int image_each(struct image *img, const ProtobufCMessageDescriptor *type, image_take_fn take,
	       void *arg);

/* Reads the only message of a one-message file into *out; -EBADMSG if there is none. */
int image_read_one(struct image_dir *dir, enum image_kind kind, uint64_t id,
		   const ProtobufCMessageDescriptor *type, ProtobufCMessage **out);
/* For callers that cannot do without the file: logs which one is missing, returns -ENOENT. */
int image_log_missing(enum image_kind kind, uint64_t id);
/* Creates a file holding just msg. */
int image_write_one(struct image_dir *dir, enum image_kind kind, uint64_t id,
		    const ProtobufCMessage *msg);

/*
 * The file behind img (borrowed). Writers flush first, and append after whatever the caller
 * writes at the file position. Readers read by offset and leave the position to the caller: here it
 * is put at the next unread byte; what is consumed through the fd is then told to image_skip_raw().
 * Negative errno on failure (logged).
 */
int image_fd(struct image *img);
/* "core-12.img", for messages; valid as long as img. */
const char *image_name(const struct image *img);
/* Where the next byte is read or written, and (readers) the size of the file. */
uint64_t image_offset(const struct image *img);
uint64_t image_size(const struct image *img);
/* Logs "image NAME: offset N: REASON" for content that decodes but makes no sense; -EBADMSG. */
int image_bad(const struct image *img, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
