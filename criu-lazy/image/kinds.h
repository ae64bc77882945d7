/* SPDX-License-Identifier: GPL-2.0 */
/* Inside image/ and its tests only: what the table says of a kind. */
#ifndef IMAGE_KINDS_H
#define IMAGE_KINDS_H

#include "image/image.h"

enum image_frame {
	IMAGE_FRAME_COMMON = 1, /* IMAGE_MAGIC_COMMON, then the kind's */
	IMAGE_FRAME_OWN,	/* only the kind's */
	IMAGE_FRAME_SERVICE,	/* IMAGE_MAGIC_SERVICE, then the kind's */
	IMAGE_FRAME_RAW,	/* bytes from the start on */
};

#define IMAGE_MAGIC_COMMON  0x54564319u
#define IMAGE_MAGIC_SERVICE 0x55105940u

enum { IMAGE_KIND_MESSAGES = 2 };

struct image_kind_info {
	/* %u: the id in decimal, %x: in hex, %s: "dump" or "restore" (enum image_stats_id) */
	const char *pattern;
	enum image_frame frame;
	uint32_t magic;
	/* In the order in which they first appear; NULL: no more. */
	const ProtobufCMessageDescriptor *messages[IMAGE_KIND_MESSAGES];
};

/* kind is below IMG_KINDS_COUNT. */
const struct image_kind_info *image_kind_info(enum image_kind kind);

#endif
