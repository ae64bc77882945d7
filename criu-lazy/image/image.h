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

enum image_kind {
	IMG_INVENTORY,
	IMG_FDINFO,
	IMG_PAGEMAP,
	IMG_SHMEM_PAGEMAP,
	IMG_CORE,
	IMG_IDS,
	IMG_MM,
	IMG_PIPES_DATA,
	IMG_FIFO_DATA,
	IMG_PSTREE,
	IMG_SK_QUEUES,
	IMG_FS,
	IMG_REMAP_FPATH,
	IMG_GHOST_FILE,
	IMG_MEMFD_INODE,
	IMG_TCP_STREAM,
	IMG_TTY_INFO,
	IMG_TTY_DATA,
	IMG_FILE_LOCKS,
	IMG_PAGES,
	IMG_CGROUP,
	IMG_CPUINFO,
	IMG_SECCOMP,
	IMG_FILES,
	IMG_STATS,
	/* every other row of facts/image-files.tsv follows; the image owner adds them */
	IMG_KINDS_COUNT,
};

/* A directory of images, possibly with a parent (link "parent"). */
struct image_dir;

/* Opens path (borrowed); or takes a directory fd (owned afterwards) with path NULL. */
int image_dir_open(const char *path, int dirfd, struct image_dir **out);
void image_dir_close(struct image_dir *dir);
int image_dir_fd(const struct image_dir *dir);
/* The parent set, opened on first use and owned by dir; *out NULL if there is none. */
int image_dir_parent(struct image_dir *dir, struct image_dir **out);

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

/* Appends one message of the kind's type (or of its n-th type for kinds with several). */
int image_write(struct image *img, const ProtobufCMessage *msg);
int image_write_raw(struct image *img, const void *data, size_t len);

/* Reads the next message as `type`. 1: *out is owned (image_msg_free), 0: end, <0 error. */
int image_read(struct image *img, const ProtobufCMessageDescriptor *type, ProtobufCMessage **out);
/* Reads exactly len bytes of payload; -EBADMSG when the file ends before. */
int image_read_raw(struct image *img, void *data, size_t len);
/* Skips payload, checked against the file's size. */
int image_skip_raw(struct image *img, uint64_t len);
void image_msg_free(ProtobufCMessage *msg);

/* Reads the only message of a one-message file into *out; -EBADMSG if there is none. */
int image_read_one(struct image_dir *dir, enum image_kind kind, uint64_t id,
		   const ProtobufCMessageDescriptor *type, ProtobufCMessage **out);
/* Creates a file holding just msg. */
int image_write_one(struct image_dir *dir, enum image_kind kind, uint64_t id,
		    const ProtobufCMessage *msg);

/* The file behind img (borrowed): for raw kinds such as pages-N.img. Writers flush first. */
int image_fd(struct image *img);
const char *image_name(const struct image *img);

#endif
