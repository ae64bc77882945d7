// SPDX-License-Identifier: GPL-2.0
/* Writing images: messages are packed into one growing buffer, so a small image is one write. */
#include "image/image.h"

#include <fcntl.h>
#include <string.h>

#include "image/impl.h"
#include "util/log.h"
#include "util/scope.h"

enum { FIRST_CAPACITY = 4096 };

static int fail(struct image *img, int err)
{
	if (!img->error)
		img->error = err;
	return err;
}

static int write_all(struct image *img, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t put = write(img->fd, data, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return fail(img, put ? log_errno("image %s: write", img->name)
					     : log_ret(-ENOSPC, "image %s: write", img->name));
		data += put;
		len -= (size_t)put;
		img->base += (uint64_t)put;
	}
	return 0;
}

int image_flush(struct image *img)
{
	int ret = write_all(img, img->buf, img->filled);

	img->filled = 0;
	return ret;
}

/* Makes room for len more bytes in the buffer. */
static int reserve(struct image *img, size_t len)
{
	int ret;

	if (img->filled && img->filled + len > IMAGE_WINDOW) {
		ret = image_flush(img);
		if (ret)
			return ret;
	}
	size_t want = img->capacity ? img->capacity : FIRST_CAPACITY;

	while (want < img->filled + len)
		want *= 2;
	if (want == img->capacity)
		return 0;
	uint8_t *grown = realloc(img->buf, want);

	if (!grown)
		return fail(img, log_ret(-ENOMEM, "image %s: %zu bytes", img->name, want));
	img->buf = grown;
	img->capacity = want;
	return 0;
}

static void put_u32(struct image *img, uint32_t value)
{
	for (int shift = 0; shift < 32; shift += 8)
		img->buf[img->filled++] = (uint8_t)(value >> shift);
}

int image_create(struct image_dir *dir, enum image_kind kind, uint64_t id, struct image **out)
{
	scoped_image struct image *img = NULL;
	int ret = image_new(dir, kind, id, O_RDWR | O_CREAT | O_EXCL, &img);

	if (ret)
		return ret;
	img->is_writer = true;
	if (img->kind->frame != IMAGE_FRAME_RAW) {
		ret = reserve(img, 2 * sizeof(uint32_t));
		if (ret)
			return ret;
		if (img->kind->frame == IMAGE_FRAME_COMMON)
			put_u32(img, IMAGE_MAGIC_COMMON);
		else if (img->kind->frame == IMAGE_FRAME_SERVICE)
			put_u32(img, IMAGE_MAGIC_SERVICE);
		put_u32(img, img->kind->magic);
	}
	*out = take_ptr(img);
	return 0;
}

static bool belongs(const struct image_kind_info *kind, const ProtobufCMessageDescriptor *type)
{
	for (int i = 0; i < IMAGE_KIND_MESSAGES; i++)
		if (kind->messages[i] == type)
			return true;
	return false;
}

int image_write(struct image *img, const ProtobufCMessage *msg)
{
	if (img->error)
		return img->error;
	if (!belongs(img->kind, msg->descriptor))
		return fail(img, log_ret(-EINVAL, "image %s: message %s", img->name,
					 msg->descriptor->name));
	size_t size = protobuf_c_message_get_packed_size(msg);

	if (size > IMAGE_MESSAGE_MAX)
		return fail(img,
			    log_ret(-EFBIG, "image %s: message of %zu bytes", img->name, size));
	int ret = reserve(img, sizeof(uint32_t) + size);

	if (ret)
		return ret;
	put_u32(img, (uint32_t)size);
	img->filled += protobuf_c_message_pack(msg, img->buf + img->filled);
	return 0;
}

int image_write_raw(struct image *img, const void *data, size_t len)
{
	int ret;

	if (img->error)
		return img->error;
	if (len >= IMAGE_WINDOW) {
		ret = image_flush(img);
		return ret ? ret : write_all(img, data, len);
	}
	ret = reserve(img, len);
	if (ret)
		return ret;
	if (len)
		memcpy(img->buf + img->filled, data, len);
	img->filled += len;
	return 0;
}

int image_write_payload(struct image *img, const ProtobufCMessage *msg, const void *data,
			size_t len)
{
	return image_write(img, msg) ?: image_write_raw(img, data, len);
}

int image_write_one(struct image_dir *dir, enum image_kind kind, uint64_t id,
		    const ProtobufCMessage *msg)
{
	scoped_image struct image *img = NULL;
	int ret = image_create(dir, kind, id, &img);

	if (!ret)
		ret = image_write(img, msg);
	if (ret)
		return ret;
	struct image *done = take_ptr(img);

	return image_close(&done);
}
