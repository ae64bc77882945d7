// SPDX-License-Identifier: GPL-2.0
/* The image reader: byte 0 is the kind; then either only what follows the magics, or all. */
#include <string.h>

#include "fuzz.h"
#include "image/image.h"
#include "image/impl.h"

static struct image_dir *dir;

const struct fuzz_seed fuzz_seeds[] = {
	FUZZ_TEXT("\x20\x00\x0a\x00\x00\x00\x08\x00\x10\x05\x18\x01\x20\x02\x28\x03"),
	FUZZ_TEXT("\x14\x00\x04\x00\x00\x00\x08\x05\x10\x03"
		  "abc"),
	FUZZ_TEXT(
		"\x02\x00\x02\x00\x00\x00\x08\x01\x08\x00\x00\x00\x08\x80\x20\x10\x02\x20\x04\x28"),
	FUZZ_TEXT("\x01\x01\x19\x43\x56\x54\x32\x37\x21\x56"),
	{ NULL, 0 },
};

void fuzz_begin(void)
{
	fuzz_enter_directory();
	if (image_dir_open(".", -1, &dir))
		__builtin_trap();
}

static void put(enum image_kind kind, bool is_whole, const uint8_t *data, size_t len)
{
	const struct image_kind_info *info = image_kind_info(kind);
	uint32_t magics[2] = { info->magic, info->magic };
	size_t head = is_whole || info->frame == IMAGE_FRAME_RAW ? 0 : sizeof(uint32_t);
	char name[IMAGE_NAME_MAX];

	if (info->frame == IMAGE_FRAME_COMMON || info->frame == IMAGE_FRAME_SERVICE) {
		head *= 2;
		magics[0] = info->frame == IMAGE_FRAME_COMMON ? IMAGE_MAGIC_COMMON
							      : IMAGE_MAGIC_SERVICE;
	}
	if (image_format_name(info, 0, name, sizeof(name)))
		__builtin_trap();
	fuzz_put_file(name, magics, head, data, len);
}

/* As readers do: a message of each type in turn, the last one again and again, with payload. */
static void read_all(struct image *img, const struct image_kind_info *info)
{
	const ProtobufCMessageDescriptor *type = info->messages[0];
	uint8_t payload[3];

	while (type) {
		ProtobufCMessage *msg = NULL;

		if (image_read(img, type, &msg) != 1)
			return;
		image_msg_free(msg);
		if (info->messages[1])
			type = info->messages[1];
		if (image_offset(img) % 4 == 0 && image_read_raw(img, payload, sizeof(payload)))
			return;
		if (image_offset(img) > image_size(img))
			__builtin_trap();
	}
}

void fuzz_one(const uint8_t *data, size_t len)
{
	enum image_kind kind = len ? (enum image_kind)(data[0] % IMG_KINDS_COUNT) : 0;
	scoped_image struct image *img = NULL;

	if (len < 2)
		return;
	put(kind, data[1] & 1, data + 2, len - 2);
	if (!image_open(dir, kind, 0, &img))
		read_all(img, image_kind_info(kind));
}
