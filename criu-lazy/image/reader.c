// SPDX-License-Identifier: GPL-2.0
/*
 * Reading images, trusting nothing: a file is refused with its name and the offset at the first
 * thing that cannot be. A size is believed only if the file goes that far, so nothing is
 * allocated for bytes that are not there. Small files are read in one go.
 */
#include "image/image.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "image/impl.h"
#include "util/log.h"
#include "util/scope.h"

static size_t unread(const struct image *img)
{
	return img->filled - img->pos;
}

static uint64_t left_in_file(const struct image *img)
{
	uint64_t offset = image_offset(img);

	return offset < img->size ? img->size - offset : 0;
}

/* Moves the window so that it starts at the next unread byte and holds `want` bytes. */
static int make_room(struct image *img, size_t want)
{
	if (img->pos && unread(img))
		memmove(img->buf, img->buf + img->pos, unread(img));
	img->base += img->pos;
	img->filled -= img->pos;
	img->pos = 0;
	if (img->capacity >= want)
		return 0;
	uint8_t *grown = realloc(img->buf, want);

	if (!grown)
		return log_ret(-ENOMEM, "image %s: %zu bytes", img->name, want);
	img->buf = grown;
	img->capacity = want;
	return 0;
}

static int read_at(struct image *img, uint8_t *buf, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t got = pread(img->fd, buf, len, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return log_errno("image %s: read at %" PRIu64, img->name, offset);
		if (!got)
			return image_bad(img, "the file has become shorter");
		buf += got;
		offset += (uint64_t)got;
		len -= (size_t)got;
	}
	return 0;
}

/* Makes `need` bytes (which the file has) readable at buf + pos. */
static int fill(struct image *img, size_t need)
{
	if (unread(img) >= need)
		return 0;
	uint64_t left = left_in_file(img);
	size_t want = left < IMAGE_WINDOW ? (size_t)left : IMAGE_WINDOW;

	if (want < need)
		want = need;
	int ret = make_room(img, want);

	if (!ret)
		ret = read_at(img, img->buf + img->filled, want - img->filled,
			      img->base + img->filled);
	if (!ret)
		img->filled = want;
	return ret;
}

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int expect_magic(struct image *img, uint32_t magic)
{
	uint8_t bytes[4];

	if (left_in_file(img) < sizeof(bytes))
		return image_bad(img, "the file ends inside its magic");
	int ret = image_read_raw(img, bytes, sizeof(bytes));

	if (ret || get_u32(bytes) == magic)
		return ret;
	img->pos -= sizeof(bytes);
	return image_bad(img, "magic is 0x%08x, not 0x%08x", get_u32(bytes), magic);
}

static int check_magics(struct image *img)
{
	int ret = 0;

	if (img->kind->frame == IMAGE_FRAME_RAW)
		return 0;
	if (img->kind->frame == IMAGE_FRAME_COMMON)
		ret = expect_magic(img, IMAGE_MAGIC_COMMON);
	else if (img->kind->frame == IMAGE_FRAME_SERVICE)
		ret = expect_magic(img, IMAGE_MAGIC_SERVICE);
	return ret ? ret : expect_magic(img, img->kind->magic);
}

int image_open(struct image_dir *dir, enum image_kind kind, uint64_t id, struct image **out)
{
	scoped_image struct image *img = NULL;
	/* O_NONBLOCK: a FIFO in the place of an image must not make us wait. */
	int ret = image_new(dir, kind, id, O_RDONLY | O_NONBLOCK, &img);
	struct stat st;

	if (ret)
		return ret;
	if (fstat(img->fd, &st))
		return log_errno("image %s: stat", img->name);
	if (!S_ISREG(st.st_mode))
		return image_bad(img, "not a regular file");
	img->size = (uint64_t)st.st_size;
	ret = check_magics(img);
	if (ret)
		return ret;
	*out = take_ptr(img);
	return 0;
}

int image_read_packed(struct image *img, const uint8_t **data, size_t *len)
{
	uint64_t left = left_in_file(img);
	int ret;

	if (!left)
		return 0;
	if (left < sizeof(uint32_t))
		return image_bad(img, "the file ends inside the size of a message");
	ret = fill(img, sizeof(uint32_t));
	if (ret)
		return ret;
	uint32_t size = get_u32(img->buf + img->pos);

	if (size > left - sizeof(uint32_t))
		return image_bad(img, "a message of %u bytes goes beyond the end of the file",
				 size);
	if (size > IMAGE_MESSAGE_MAX)
		return image_bad(img, "a message of %u bytes is beyond belief", size);
	ret = fill(img, sizeof(uint32_t) + size);
	if (ret)
		return ret;
	*data = img->buf + img->pos + sizeof(uint32_t);
	*len = size;
	img->pos += sizeof(uint32_t) + size;
	return 1;
}

int image_read(struct image *img, const ProtobufCMessageDescriptor *type, ProtobufCMessage **out)
{
	const uint8_t *data;
	size_t len;
	int ret = image_read_packed(img, &data, &len);

	if (ret <= 0)
		return ret;
	*out = protobuf_c_message_unpack(type, NULL, len, data);
	if (*out)
		return 1;
	img->pos -= len + sizeof(uint32_t);
	return image_bad(img, "%zu bytes do not decode as %s", len, type->name);
}

int image_each(struct image *img, const ProtobufCMessageDescriptor *type, image_take_fn take,
	       void *arg)
{
	ProtobufCMessage *msg;
	int ret;

	while ((ret = image_read(img, type, &msg)) > 0) {
		ret = take(arg, img, msg);
		image_msg_free(msg);
		if (ret)
			break;
	}
	return ret;
}

int image_read_raw(struct image *img, void *data, size_t len)
{
	size_t buffered = unread(img) < len ? unread(img) : len;

	if (left_in_file(img) < len)
		return image_bad(img, "the file ends inside a payload of %zu bytes", len);
	if (len <= IMAGE_WINDOW / 2) {
		int ret = fill(img, len);

		if (ret)
			return ret;
		buffered = len;
	}
	if (buffered)
		memcpy(data, img->buf + img->pos, buffered);
	img->pos += buffered;
	len -= buffered;
	if (!len)
		return 0;
	int ret = read_at(img, (uint8_t *)data + buffered, len, image_offset(img));

	return ret ? ret : image_skip_raw(img, len);
}

int image_skip_raw(struct image *img, uint64_t len)
{
	if (left_in_file(img) < len)
		return image_bad(img, "the file ends inside a payload of %" PRIu64 " bytes", len);
	if (len <= unread(img)) {
		img->pos += (size_t)len;
		return 0;
	}
	img->base = image_offset(img) + len;
	img->filled = img->pos = 0;
	return 0;
}

int image_read_one(struct image_dir *dir, enum image_kind kind, uint64_t id,
		   const ProtobufCMessageDescriptor *type, ProtobufCMessage **out)
{
	scoped_image struct image *img = NULL;
	int ret = image_open(dir, kind, id, &img);

	if (ret)
		return ret;
	ret = image_read(img, type, out);
	if (ret < 0)
		return ret;
	return ret ? 0 : image_bad(img, "there is no message");
}
